"""Runs of the sweep about what an account keeps: keys, templates, endpoints, groups of workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sweep_case import Case
from sweep_faults import OF_LISTS
from sweep_scene import Scene

from vast_pyworker.errors import OutcomeUnknown
from vast_pyworker.vastai.endpoints import EndpointSettings
from vast_pyworker.vastai.worker_groups import WorkerGroupSettings

KEY = "ssh-ed25519 AAAAC3NzaSweep sweep@host"


def _changed(
    case: Case,
    call: str,
    act: Callable[[], Any],
    look: Callable[[], Any],
    wanted: Any,
    *,
    once: bool = False,
) -> Any:
    """An act after which ``look`` sees ``wanted``, or why not; its value."""
    before = look()
    with case.faults(call):
        got = case.ask(act)
    if once:
        case.check_waited(got)
    else:
        case.check_outlived(got)
        assert not got.like(OutcomeUnknown), got
    case.check_changed(got, before, wanted, look())
    return got.value


def _listed(case: Case, call: str, read: Callable[[], list[Any]], truth: set[Any]) -> None:
    """A list of these ids, or an error; short only where nobody could tell."""
    read()
    with case.faults(call):
        got = case.ask(read)
    case.check_outlived(got)
    if got.value is not None:
        ids = {each.id for each in got.value}
        assert ids == truth or case.kind in OF_LISTS, ids


# Keys of the account


def _keys(case: Case) -> list[str]:
    return [row["key"] for row in case.ground.parts.ssh_keys.of(case.ground.account)]


def key_add(case: Case) -> None:
    """Add a key; twice is once."""
    add = case.vast.ssh_keys.add
    made = _changed(case, "account_ssh", lambda: add(KEY), lambda: _keys(case), [KEY])
    assert made is None or made.public_key in (KEY, None)


def key_remove(case: Case) -> None:
    """Take a key off."""
    number = case.vast.ssh_keys.add(KEY).id
    assert number is not None
    remove = case.vast.ssh_keys.remove
    _changed(case, "account_ssh", lambda: remove(number), lambda: _keys(case), [])


def key_list(case: Case) -> None:
    """Read the keys."""
    number = case.vast.ssh_keys.add(KEY).id
    _listed(case, "account_ssh", case.vast.ssh_keys.list, {number})


# Templates


def _templates(case: Case) -> list[str]:
    rows = case.ground.parts.templates.visible_to(case.ground.account)
    return [f"{row['name']} {row['image']} {row['tag'] or ''}".strip() for row in rows]


def template_create(case: Case) -> None:
    """Make a template; twice is once."""
    create = case.vast.templates.create
    made = _changed(
        case, "template_create", lambda: create("n", "i"), lambda: _templates(case), ["n i"]
    )
    rows = case.ground.parts.templates.visible_to(case.ground.account)
    assert made is None or made.hash_id in (None, rows[0]["hash_id"])


def template_update(case: Case) -> None:
    """Change a template."""
    made = case.vast.templates.create("n", "i")
    update = case.vast.templates.update
    look = lambda: _templates(case)  # noqa: E731
    act = lambda: update(made.hash_id or "", {"tag": "t"})  # noqa: E731
    _changed(case, "template_update", act, look, ["n i t"], once=True)


def template_delete(case: Case) -> None:
    """Delete a template."""
    made = case.vast.templates.create("n", "i")
    act = lambda: case.vast.templates.delete(template_id=made.id)  # noqa: E731
    _changed(case, "template_delete", act, lambda: _templates(case), [])


def template_list(case: Case) -> None:
    """Read the templates."""
    made = case.vast.templates.create("n", "i")
    _listed(case, "templates", case.vast.templates.list, {made.id})


# Endpoints and their groups


def _endpoints(case: Case) -> list[tuple[str, int]]:
    rows = case.ground.parts.serverless.state()["endpoints"]
    return [(row["endpoint_name"], row["max_workers"]) for row in rows]


def _endpoint(case: Case, name: str = "e") -> int:
    return case.vast.endpoints.create(name, EndpointSettings(max_workers=3))


def endpoint_create(case: Case) -> None:
    """Make an endpoint; what was left open is found by its name."""
    act = lambda: _endpoint(case)  # noqa: E731
    look = lambda: _endpoints(case)  # noqa: E731
    made = _changed(case, "endpoint_create", act, look, [("e", 3)], once=True)
    found = {each.id: each.name for each in case.vast.endpoints.list()}
    assert made is None or found == {made: "e"}


def endpoint_update(case: Case) -> None:
    """Change an endpoint."""
    number = _endpoint(case)
    settings = EndpointSettings(max_workers=7)
    act = lambda: case.vast.endpoints.update(number, settings)  # noqa: E731
    _changed(case, "endpoint_update", act, lambda: _endpoints(case), [("e", 7)])


def endpoint_delete(case: Case) -> None:
    """Delete an endpoint."""
    number = _endpoint(case)
    act = lambda: case.vast.endpoints.delete(number)  # noqa: E731
    _changed(case, "endpoint_delete", act, lambda: _endpoints(case), [])


def endpoint_list(case: Case) -> None:
    """Read the endpoints."""
    number = _endpoint(case)
    _listed(case, "endpoints", case.vast.endpoints.list, {number})


def endpoint_show(case: Case) -> None:
    """Read one endpoint, or one that is gone."""
    number = _endpoint(case)
    gone = case.rng.random() < 0.3
    if gone:
        case.vast.endpoints.delete(number)
    with case.faults("endpoints"):
        got = case.ask(lambda: case.vast.endpoints.show(number))
    case.check_outlived(got)
    if got.well:
        assert (got.value is None) == gone


def _groups(case: Case) -> list[float]:
    return [row["gpu_ram"] for row in case.ground.parts.serverless.state()["groups"]]


def _group(case: Case, endpoint: int) -> int:
    settings = WorkerGroupSettings(endpoint_id=endpoint, search_params="num_gpus=1", gpu_ram_gb=8.0)
    return case.vast.workergroups.create(settings)


def group_create(case: Case) -> None:
    """Make a group of workers."""
    endpoint = _endpoint(case)
    act = lambda: _group(case, endpoint)  # noqa: E731
    look = lambda: sorted(set(_groups(case)))  # noqa: E731  delivered twice it is made twice
    made = _changed(case, "workergroup_create", act, look, [8.0], once=True)
    assert made is None or made in {each.id for each in case.vast.workergroups.list()}


def group_update(case: Case) -> None:
    """Change a group of workers."""
    endpoint = _endpoint(case)
    number = _group(case, endpoint)
    settings = WorkerGroupSettings(endpoint_id=endpoint, gpu_ram_gb=24.0)
    act = lambda: case.vast.workergroups.update(number, settings)  # noqa: E731
    _changed(case, "workergroup_update", act, lambda: _groups(case), [24.0])


def group_delete(case: Case) -> None:
    """Delete a group of workers."""
    number = _group(case, _endpoint(case))
    act = lambda: case.vast.workergroups.delete(number)  # noqa: E731
    _changed(case, "workergroup_delete", act, lambda: _groups(case), [])


def group_list(case: Case) -> None:
    """Read the groups of workers."""
    number = _group(case, _endpoint(case))
    _listed(case, "workergroups", case.vast.workergroups.list, {number})


SCENES = (
    Scene("key_add", key_add, lists=True),
    Scene("key_remove", key_remove),
    Scene("key_list", key_list, lists=True),
    Scene("template_create", template_create),
    Scene("template_update", template_update),
    Scene("template_delete", template_delete),
    Scene("template_list", template_list, lists=True),
    Scene("endpoint_create", endpoint_create),
    Scene("endpoint_update", endpoint_update),
    Scene("endpoint_delete", endpoint_delete),
    Scene("endpoint_list", endpoint_list, lists=True),
    Scene("endpoint_show", endpoint_show),
    Scene("group_create", group_create),
    Scene("group_update", group_update),
    Scene("group_delete", group_delete),
    Scene("group_list", group_list, lists=True),
)
