"""What an owner does inside an instance: SSH keys, commands, logs."""

from __future__ import annotations

import json

from small_market import BODY, Rig, refused, refused_unchanged


def test_keys_are_attached_listed_and_detached() -> None:
    rig = Rig()
    first, second = "ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"
    made = rig.market.create(rig.account, rig.ask().id, BODY, ssh_keys=[first])
    number = made["new_contract"]
    attached = rig.market.ssh_attach(rig.account, number, f"{second}\n")
    assert attached["msg"] == "SSH key added to instance."
    assert json.loads(attached["key"])["key"] == second
    again = rig.market.ssh_attach(rig.account, number, second)
    assert again == {"success": False, "msg": "SSH key already associated with instance."}
    keys = json.loads(rig.market.ssh_list(rig.account, number)["ssh_keys"])
    assert [key["key"] for key in keys] == [first, second]
    assert rig.market.ssh_detach(rig.account, number, keys[0]["id"])["success"] is True
    assert rig.market.ssh_detach(rig.account, number, keys[0]["id"]) == {
        "success": False,
        "error": "no_such_ssh_key",
        "msg": "SSH key not found.",
    }
    for bad in (None, "", "  ", 5):
        refusal = refused_unchanged(
            rig, lambda k=bad: rig.market.ssh_attach(rig.account, number, k)
        )
        assert (refusal.status, refusal.code) == (400, "no_ssh_key")


def test_commands_are_for_instances_that_stand_still() -> None:
    rig = Rig()
    number = rig.running()
    for command, words in [
        (None, "Missing command."),
        ("", "Missing command."),
        (5, "Invalid command."),
        ("x" * 513, "Invalid command given."),
        ("ls", "Execute command only avail on stopped instances."),
    ]:
        refusal = refused_unchanged(
            rig, lambda c=command: rig.market.execute(rig.account, number, c)
        )
        assert refusal.status == 400
        assert words in refusal.msg
    rig.market.set_state(rig.account, number, "stopped")
    assert rig.market.execute(rig.account, number, "ls -l") == "total 0\n"


def test_logs_are_cut_and_filtered() -> None:
    rig = Rig()
    number = rig.running(onstart="echo 1")
    whole = rig.market.logs(rig.account, number)
    assert whole
    lines = whole.splitlines(keepends=True)
    assert rig.market.logs(rig.account, number, tail="1") == lines[-1]
    assert rig.market.logs(rig.account, number, tail="0") == ""
    assert rig.market.logs(rig.account, number, filter="no such line") == ""
    assert "SSH host key SHA256:" in rig.market.logs(rig.account, number, daemon=True)
    for bad in ({"tail": "x"}, {"tail": "-1"}, {"filter": "("}, {"filter": 5}, {"tail": []}):
        assert refused(lambda b=bad: rig.market.logs(rig.account, number, **b)).status == 400
