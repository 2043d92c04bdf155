"""A magister.toml made into a groups.toml."""

from __future__ import annotations

import pytest

from vast_pyworker.controller.desired.magister import import_magister
from vast_pyworker.controller.desired.reading import parse_wishes
from vast_pyworker.errors import WishError
from vast_pyworker.model import Group, Limits, OnDelete, OnShutdown, Preferences

FULL = """\
http_port = 8600
this_magister_addr = "http://198.51.100.7"
hierophant_ip = "203.0.113.9"
hierophant_http_port = 9010
vast_api_key = "not-to-be-seen"
template_hash = "0a1b2c"
number_instances = 4
vast_api_call_backoff_secs = 12
task_polling_interval_secs = 20
contemplant_verification_timeout_secs = 240
bad_hosts = [11, 12]
bad_machines = [13]
good_hosts = [21]
good_machines = [22, 23]
colour = "blue"

[vast_query]
allocated_storage = 16
gpu_name = "RTX 4090"
reliability = 0.99
min_cuda_version = 12.8
gpu_ram = 24
disk_space = 100
duration = 192679
cost_per_hour = 0.60

[contemplant]
prover_type = "cuda"
contemplant_name = "alice \\"the\\" prover"
http_port = 9011
moongate_endpoint = "http://localhost:3000"
heartbeat_interval_seconds = 30
max_proofs_stored = 2
moongate_log_path = "./moongate.log"
watcher_polling_interval_ms = 2000
ssh_authorized_keys = "ssh-ed25519 AAAA one\\nssh-ed25519 BBBB two\\n"
"""


def imported(text: str = FULL, environ: dict[str, str] | None = None) -> Group:
    made = parse_wishes(import_magister(text, environ or {}), {})
    (group,) = made.groups.values()
    return group


def test_a_full_file_becomes_one_that_is_right() -> None:
    wishes = parse_wishes(import_magister(FULL, {}), {})
    assert wishes.fleet == "magister"
    assert wishes.limits == Limits(5, 3.0)
    assert list(wishes.groups) == ["contemplant"]


def test_as_many_of_the_same_are_held() -> None:
    group = imported()
    assert (group.min_instances, group.max_instances, group.policy) == (4, 4, "hold")
    assert group.max_usd_per_hour == 0.6
    assert (group.launch.template_hash, group.launch.disk_gb) == ("0a1b2c", 100.0)
    assert (group.on_shutdown, group.on_external_delete) == (OnShutdown.LEAVE, OnDelete.REPLACE)
    assert group.query == (
        "disk_space>=100 gpu_name=RTX_4090 gpu_ram>=24 reliability>=0.99 cuda_max_good>=12.8 "
        "duration>=2.23"
    )


def test_good_hosts_are_kept() -> None:
    assert imported().preferences == Preferences(
        frozenset({11, 12}), frozenset({13}), frozenset({21}), frozenset({22, 23})
    )


def test_what_the_contemplant_was_told_is_in_its_environment() -> None:
    assert imported().launch.env == {
        "HIEROPHANT_WS_ADDRESS": "ws://203.0.113.9:9010/ws",
        "PROVER_TYPE": "cuda",
        "CONTEMPLANT_NAME": 'alice "the" prover',
        "HTTP_PORT": "9011",
        "MOONGATE_ENDPOINT": "http://localhost:3000",
        "HEARTBEAT_INTERVAL_SECONDS": "30",
        "MAX_PROOFS_STORED": "2",
        "MOONGATE_LOG_PATH": "./moongate.log",
        "WATCHER_POLLING_INTERVAL_MS": "2000",
        "SSH_AUTHORIZED_KEYS": "ssh-ed25519 AAAA one\nssh-ed25519 BBBB two",
    }


def test_it_is_started_as_magister_did_with_a_way_to_call_back() -> None:
    onstart = imported().launch.onstart or ""
    assert 'MAGISTER_DROP_ENDPOINT="${REPORT_ADDR%%,*}/drop/$CONTAINER_ID"' in onstart
    assert "bash /entrypoint.sh" in onstart


def test_its_time_to_verify_is_that_of_the_first_report() -> None:
    assert imported().deadlines.joining_s == 240.0


def test_the_duration_is_what_was_sent_and_a_comment_says_so() -> None:
    assert "documented as hours and sent as seconds: 2.23 days" in import_magister(FULL, {})
    short = import_magister(FULL.replace("192679", "48"), {})
    assert "If hours were meant, write duration>=2.00 (days)." in short
    assert "duration>" not in imported(FULL.replace("192679", "48")).query


def test_what_has_no_counterpart_is_named_and_the_key_is_not_shown() -> None:
    text = import_magister(FULL, {"VAST_API_KEY": "nor-this"})
    for name in ("http_port = 8600", "this_magister_addr", "vast_api_key", "colour",
                 "vast_api_call_backoff_secs = 12", "task_polling_interval_secs = 20",
                 "vast_query.allocated_storage = 16"):  # fmt: skip
        assert f"\n# {name}" in text
    assert "not-to-be-seen" not in text
    assert "nor-this" not in text


def test_the_environment_counts_over_the_file() -> None:
    environ = {"NUMBER_INSTANCES": "7", "GOOD_HOSTS": "99", "VAST_QUERY_GPU_NAME": "RTX 5090"}
    group = imported(FULL, environ)
    assert group.min_instances == 7
    assert group.preferences.good_hosts == {99}
    assert "gpu_name=RTX_5090" in group.query


def test_all_can_come_from_the_environment() -> None:
    environ = {
        "NUMBER_INSTANCES": "2",
        "TEMPLATE_HASH": "abc",
        "VAST_QUERY_COST_PER_HOUR": "0.5",
        "VAST_QUERY_DISK_SPACE": "16",
        "VAST_QUERY_GPU_NAME": "RTX 3090",
    }
    group = imported("", environ)
    assert (group.min_instances, group.query) == (2, "disk_space>=16 gpu_name=RTX_3090")


def test_what_is_missing_is_named_all_at_once() -> None:
    with pytest.raises(WishError) as caught:
        import_magister("number_instances = 1", {})
    assert str(caught.value).splitlines() == [
        f"magister.toml: {key} is missing; write it, or set {variable}."
        for key, variable in (
            ("template_hash", "TEMPLATE_HASH"),
            ("vast_query.cost_per_hour", "VAST_QUERY_COST_PER_HOUR"),
            ("vast_query.disk_space", "VAST_QUERY_DISK_SPACE"),
            ("vast_query.gpu_name", "VAST_QUERY_GPU_NAME"),
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "0.60",
            '"cheap"',
            "magister.toml:25: vast_query.cost_per_hour: group.contemplant.max_usd",
        ),
        (
            "= 4",
            "= -4",
            "magister.toml:7: number_instances: group.contemplant.min_instances: -4 is",
        ),
        (
            "gpu_ram = 24",
            "gpu_ram = 'x'",
            'magister.toml:22: vast_query.gpu_ram: "x" is no number from 0 up',
        ),
        (
            "[21]",
            "['x']",
            'magister.toml:13: good_hosts: group.contemplant.preferences.good_hosts: ["',
        ),
        ("192679", "nan", "magister.toml:24: vast_query.duration: "),
        ("= 4\n", "= = 4\n", "magister.toml:7: this is no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_magisters_line_and_key(old: str, new: str, said: str) -> None:
    with pytest.raises(WishError) as caught:
        import_magister(FULL.replace(old, new, 1), {})
    assert any(line.startswith(said) for line in str(caught.value).splitlines()), caught.value


def test_texts_with_anything_in_them_come_through() -> None:
    nasty = 'a"""b\\c\ttab\x7f{}#é\n"'
    environ = {"CONTEMPLANT_MOONGATE_ENDPOINT": nasty, "VAST_QUERY_GPU_NAME": "A#1\\x"}
    group = imported(FULL, environ)
    assert group.launch.env["MOONGATE_ENDPOINT"] == nasty
    text = import_magister(FULL + '"odd\\u007f\\nkey" = 1\n', {})
    assert parse_wishes(text, {}).groups


@pytest.mark.parametrize("key", ["disk_space = 100", "number_instances = 4", "http_port = 9011"])
def test_a_list_where_there_is_one_value_is_named(key: str) -> None:
    name, _, value = key.partition(" = ")
    text = FULL.replace(key, f"{name} = [{value}]")
    with pytest.raises(WishError, match=rf"{name}: \[{value}\] is a list; write one value\."):
        import_magister(text, {})
