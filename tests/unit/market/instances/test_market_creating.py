"""Creates: what is accepted, what is refused without a trace, and what a contract then is."""

from __future__ import annotations

from typing import Any

import pytest
from small_market import BODY, Rig, plain, refused, refused_unchanged

from vast_pyworker.market.rentals.boxes import flags_to_env

BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"price": 0}, "invalid_price", "Invalid price"),
    ({"price": -1.0}, "invalid_price", "Invalid price"),
    ({"price": 129}, "invalid_price", "Invalid price"),
    ({"price": "0.5"}, "invalid_price", "Invalid price"),
    ({"price": True}, "invalid_price", "Invalid price"),
    ({"price": float("nan")}, "invalid_price", "Invalid price"),
    ({"disk": 0}, "invalid_args", "disk"),
    ({"disk": -20}, "invalid_args", "disk"),
    ({"disk": "20"}, "invalid_args", "disk"),
    ({"disk": 10**400}, "invalid_args", "disk"),
    ({"env": "-e A=1"}, "invalid_args", "invalid env type: env must be a dict"),
    ({"env": {"A": {}}}, "invalid_args", "invalid env"),
    ({"env": {"A": "x\0"}}, "invalid_args", "null character"),
    ({"env": {"A=B": "1"}}, "invalid_args", "invalid env"),
    ({"env": {"": "1"}}, "invalid_args", "invalid env"),
    ({"env": {"-p x:y": "1"}}, "invalid_args", "port mapping"),
    ({"env": {"-p 1:100000": "1"}}, "invalid_args", "no port 100000"),
    ({"env": {f"-p {n}:{n}": "1" for n in range(1, 66)}}, "invalid_args", "65 ports"),
    ({"label": 5}, "invalid_args", "label"),
    ({"label": "x" * 1025}, "invalid_args", "label_too_long"),
    ({"onstart": "x" * 4049}, "invalid_args", "4049 > 4048"),
    ({"onstart": ["x"]}, "invalid_args", "onstart"),
    ({"image": 7}, "invalid_args", "image"),
    ({"runtype": "shell"}, "invalid_args", "shell"),
    ({"runtype": " "}, "invalid_args", "runtype"),
    ({"runtype": "ssh", "use_ssh": True}, "invalid_args", "not both"),
    ({"args": [1]}, "invalid_args", "args"),
    ({"args": ["x"] * 257}, "invalid_args", "400/3471"),
    ({"args_str": "'"}, "invalid_args", "args"),
    ({"target_state": "gone"}, "invalid_args", "target_state"),
    ({"cancel_unavail": "no"}, "invalid_args", "cancel_unavail"),
]


@pytest.mark.parametrize(("body", "code", "words"), BAD)
def test_a_body_that_cannot_be_is_refused_without_a_trace(
    body: dict[str, Any], code: str, words: str
) -> None:
    rig = Rig()
    refusal = refused_unchanged(rig, lambda: rig.answer(**body))
    assert (refusal.status, refusal.code) == (400, code)
    assert words in refusal.msg


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_body_is_an_object(body: object) -> None:
    rig = Rig()
    refusal = refused(lambda: rig.market.create(rig.account, rig.ask().id, body))
    assert (refusal.status, refusal.msg) == (400, "Invalid json body")


def test_an_offer_that_never_was_and_one_that_is_gone_are_told_apart() -> None:
    rig = Rig()
    unknown = refused_unchanged(rig, lambda: rig.market.create(rig.account, 7, BODY))
    assert (unknown.status, unknown.code, unknown.extra) == (404, "no_such_ask", {"ask_id": 7})
    assert "404/3603" in unknown.msg
    ask = rig.ask()
    rig.market.strike("offer_gone", params={"ask_id": ask.id})
    gone = refused_unchanged(rig, lambda: rig.answer(ask))
    assert (gone.status, gone.code, gone.extra) == (410, "no_such_ask", {"ask_id": ask.id})
    assert "410/3907" in gone.msg
    assert ask.id not in [o["id"] for o in rig.market.search({"disable_bundling": True})]


def test_a_taken_offer_is_refused_or_queued_as_the_body_says() -> None:
    rig = Rig()
    rig.create()
    assert refused_unchanged(rig, lambda: rig.answer(cancel_unavail=True)).status == 410
    assert refused_unchanged(rig, lambda: rig.answer(cancel_unavail=None)).status == 410
    queued = rig.answer(cancel_unavail=False)
    assert queued["success"] is False
    assert rig.states(queued["new_contract"]) == (None, "running", "stopped", "running")
    low = rig.answer(price=0.5, cancel_unavail=None)
    assert low["success"] is False
    assert refused_unchanged(rig, lambda: rig.answer(price=0.5, cancel_unavail=True)).status == 410


def test_more_disk_than_there_is_is_silently_less() -> None:
    rig = Rig()
    number = rig.create(disk=5000.0)
    assert rig.row(number)["disk_space"] == 200.0
    assert rig.row(rig.create(rig.machines[0].asks[1], disk=12.5))["disk_space"] == 12.5


def test_any_text_can_be_an_image_or_a_label() -> None:
    rig = Rig()
    number = rig.running(image="\ud800:\0", label="\udfff", onstart="\ud800")
    assert rig.row(number)["label"] == "\udfff"
    assert rig.market.list_instances(rig.account)["label_counts"] == {"\udfff": 1}


def test_what_is_to_stand_still_stands_still() -> None:
    rig = Rig()
    answer = rig.answer(target_state="stopped")
    assert answer["success"] is False
    assert rig.states(answer["new_contract"]) == ("stopped", "stopped", "stopped", "stopped")
    rig.market.advance(86400)
    assert rig.runtime.told == []


def test_the_container_gets_what_the_body_says() -> None:
    rig = Rig()
    number = rig.running(
        env={"A": "1", "N": 5, "-p 8080:80": "1", "-p 70000:70000": "1", "-h": "name"},
        onstart="echo hi",
        runtype="ssh_direc ssh_proxy",
        label="job1",
    )
    box = rig.runtime.boxes[number]
    assert (box.command, box.is_main, box.label) == ("echo hi", False, "job1")
    assert box.env == {"A": "1", "N": "5"}
    assert set(box.ports) == {(80, "tcp"), (70000, "tcp"), (22, "tcp")}
    row = rig.row(number)
    assert ["-p 8080:80", "1"] in row["extra_env"]
    assert row["image_runtype"] == "ssh_direc ssh_proxy"
    key = rig.accounts.caller(box.api_key)
    assert key is not None
    assert key.key.instance_id == number


def test_arguments_are_the_containers_own_program() -> None:
    rig = Rig()
    first = rig.running(args=["python", "-m", "http server"])
    assert rig.row(first)["image_runtype"] == "args"
    assert rig.runtime.boxes[first].command == "python -m 'http server'"
    assert rig.runtime.boxes[first].is_main is True
    rig.market.destroy(rig.account, first)
    second = rig.running(args_str="-c 'echo 1'", runtype="args")
    assert rig.runtime.boxes[second].command == "bash -c 'echo 1'"


TEMPLATE = {
    "id": 300_001,
    "hash_id": "f" * 32,
    "name": "mine",
    "image": "repo/image",
    "tag": "v1",
    "env": '-e A=1 -e B="two words" -p 3000:3000 -h box',
    "onstart": "echo template",
    "runtype": "ssh",
    "ssh_direct": True,
    "recommended_disk_space": 33.0,
}


def test_a_template_fills_what_the_body_leaves_out() -> None:
    rig = Rig()
    body = {"template_hash_id": "f" * 32, "env": {"B": "3"}, "image": None, "disk": None}
    made = rig.market.create(rig.account, rig.ask().id, body, template=TEMPLATE)
    row = rig.row(made["new_contract"])
    assert (row["image_uuid"], row["onstart"], row["disk_space"]) == (
        "repo/image:v1",
        "echo template",
        33.0,
    )
    assert dict(row["extra_env"]) == {"A": "1", "B": "3", "-p 3000:3000": "1", "-h": "box"}
    assert row["image_runtype"] == "ssh_direc ssh_proxy"
    assert (row["template_id"], row["template_hash_id"], row["template_name"]) == (
        300_001,
        "f" * 32,
        "mine",
    )


def test_what_the_body_says_is_stronger_than_the_template() -> None:
    rig = Rig()
    body = {"image": "other", "onstart": "echo own", "disk": 5.0, "runtype": "args"}
    made = rig.market.create(rig.account, rig.ask().id, body, template=TEMPLATE)
    row = rig.row(made["new_contract"])
    assert (row["image_uuid"], row["onstart"], row["disk_space"], row["image_runtype"]) == (
        "other",
        "echo own",
        5.0,
        "args",
    )


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        ("", {}),
        ("-e A=1", {"A": "1"}),
        ("-e A", {"A": ""}),
        ("-p 80:80 -p 53:53/udp", {"-p 80:80": "1", "-p 53:53/udp": "1"}),
        ("-v /a:/b --rm", {"-v /a:/b": "1"}),
    ],
)
def test_dockers_flags_become_the_object_that_a_create_sends(
    flags: str, env: dict[str, str]
) -> None:
    assert flags_to_env(flags) == env


def test_flags_that_cannot_be_read_are_refused() -> None:
    assert refused(lambda: flags_to_env("-e 'A")).status == 400


def test_many_are_made_at_once_and_each_has_its_result() -> None:
    rig = Rig(plain(4))
    ids = [ask.id for ask in rig.machines[0].asks if ask.num_gpus == 1]
    body = {**BODY, "ids": [*ids[:2], 5], "cancel_unavail": True}
    answer = rig.market.bulk_create(rig.account, body)
    assert (answer["success"], answer["failed"]) == (True, [5])
    assert len(answer["created"]) == 2
    assert [each["ask_id"] for each in answer["results"]] == body["ids"]
    assert answer["results"][2]["error"] == "no_such_ask"
    none = rig.market.bulk_create(rig.account, body)
    assert (none["success"], none["created"]) == (False, [])


@pytest.mark.parametrize(
    ("ids", "msg"),
    [
        (None, "error missings offer 'ids' parameter"),
        ([], "no ask ids provided"),
        (list(range(65)), "too many ask ids provided; max is 64"),
        (["x"], "ask ids must be integers"),
    ],
)
def test_bulk_creates_need_a_list_of_offers(ids: object, msg: str) -> None:
    rig = Rig()
    body = {**BODY, "ids": ids}
    refusal = refused_unchanged(rig, lambda: rig.market.bulk_create(rig.account, body))
    assert (refusal.status, refusal.msg) == (400, msg)


def test_a_search_and_a_create_can_be_one_call() -> None:
    rig = Rig()
    rig.create()
    query = {"num_gpus": {"eq": 1}, "disable_bundling": True, "rentable": {"eq": True}}
    made = rig.market.launch(rig.account, {"image": "x", "q": query})
    assert made["success"] is True
    refusal = refused_unchanged(
        rig, lambda: rig.market.launch(rig.account, {"image": "x", "q": query})
    )
    assert (refusal.status, refusal.code, refusal.shape) == (200, "offer_not_found", "message")
    assert refused(lambda: rig.market.launch(rig.account, {"image": "x"})).status == 400
