"""ssh-keys, templates, endpoints, workergroups: what is sent, and that no key is printed."""

from __future__ import annotations

import json

import pytest

from vast_pyworker.vastai.fake_vast import Told

KEY = "ssh-ed25519 AAAAC3Nza me@here"
GROUP = {"id": 42, "endpoint_id": 15, "endpoint_name": "llm", "template_hash": "h1",
         "search_query": {"gpu_ram": {"gte": 23000.0}}, "gpu_ram": 23.0,
         "api_key": "gr-secret"}  # fmt: skip
ENDPOINT = {"id": 15, "endpoint_name": "llm", "endpoint_state": "active", "api_key": "ep-secret"}
DONE = {"success": True}


class TestSshKeys:
    def test_a_key_is_read_from_its_file(self, vast, ask, tmp_path):
        (tmp_path / "id.pub").write_text(f"{KEY}\n")
        vast.on("POST /api/v0/instances/7/ssh/", DONE)
        assert ask("ssh-keys", "attach", "7", tmp_path / "id.pub").exit_code == 0
        assert vast.asked[0].body == {"ssh_key": KEY}

    @pytest.mark.parametrize("content", ["-----BEGIN OPENSSH PRIVATE KEY-----\nhidden", "", "\x00"])
    def test_a_file_without_a_public_key_is_refused(self, content, vast, ask, tmp_path):
        (tmp_path / "id").write_text(content)
        result = ask("ssh-keys", "add", tmp_path / "id")
        assert result.exit_code == 2
        assert "hidden" not in result.output
        assert vast.asked == []

    def test_no_such_file(self, ask):
        assert ask("ssh-keys", "add", "/nonexistent.pub").exit_code == 2

    def test_lists(self, vast, ask):
        vast.on("GET /api/v0/ssh/", [{"id": 3, "key": KEY}])
        vast.on("GET /api/v0/instances/7/ssh/", {"success": True, "ssh_keys": "[]"})
        assert ask("ssh-keys", "list").stdout.splitlines()[1] == f" 3  {KEY}"
        assert json.loads(ask("ssh-keys", "list", "--instance", "7", "--json").stdout) == []

    def test_what_was_so_before_is_said_and_is_no_failure(self, vast, ask):
        said = {"success": False, "msg": "SSH key already associated with instance."}
        vast.on("POST /api/v0/instances/7/ssh/", said)
        gone = {"success": False, "error": "no_such_ssh_key", "msg": "SSH key not found."}
        vast.on("DELETE /api/v0/instances/7/ssh/3/", gone)
        assert ask("ssh-keys", "attach", "7", KEY).stdout == "The key was let in before.\n"
        assert ask("ssh-keys", "detach", "7", "3").stdout == "Key 3 was not let in.\n"


class TestTemplates:
    def test_create_sends_what_was_named(self, vast, ask):
        made = {"success": True, "template": {"id": 9, "hash_id": "h1", "name": "mine"}}
        vast.on("POST /api/v0/template/", made)
        result = ask("templates", "create", "mine", "--image", "img", "--query", "gpu_ram>=24",
                     "--runtype", "ssh", "--direct", "--disk", "20", "--public")  # fmt: skip
        assert result.stdout == "Template mine has the hash h1.\n"
        body = vast.asked[0].body
        assert body.pop("extra_filters")["gpu_ram"] == {"gte": 24000.0}
        assert body == {
            "name": "mine",
            "image": "img",
            "recommended_disk_space": 20.0,
            "private": False,
            "runtype": "ssh",
            "use_ssh": True,
            "ssh_direct": True,
            "jup_direct": False,
        }

    def test_an_update_of_nothing_is_refused(self, vast, ask):
        assert ask("templates", "update", "h1").exit_code == 2
        assert vast.asked == []

    @pytest.mark.parametrize(
        ("name", "body"), [("9", {"template_id": 9}), ("h1", {"hash_id": "h1"})]
    )
    def test_delete_by_either_name(self, name, body, vast, ask):
        vast.on("DELETE /api/v0/template/", DONE)
        assert ask("templates", "delete", name).exit_code == 0
        assert vast.asked[0].body == body

    def test_none(self, vast, ask):
        vast.on("GET /api/v0/template/", {"success": False, "msg": "No templates found"})
        assert ask("templates", "list").exit_code == 0
        assert ask("templates", "list", "--json").stdout == "[]\n"


class TestEndpoints:
    def test_no_key_of_theirs_is_printed(self, vast, ask):
        vast.on("GET /api/v0/endptjobs/", {"success": True, "results": [ENDPOINT]})
        vast.on("GET /api/v0/endptjobs/15/", {"success": True, "result": ENDPOINT})
        for arguments in (["list"], ["list", "--json"], ["show", "15"], ["show", "15", "--json"]):
            result = ask("endpoints", *arguments)
            assert result.exit_code == 0
            assert "llm" in result.stdout
            assert "ep-secret" not in result.stdout

    def test_none_is_not_an_error(self, vast, ask):
        said = {"success": False, "msg": "No endpoints for user 7 found."}
        vast.on("GET /api/v0/endptjobs/", Told(said, 400))
        assert json.loads(ask("endpoints", "list", "--json").stdout) == []

    def test_an_update_sends_what_was_named(self, vast, ask):
        vast.on("PUT /api/v0/endptjobs/15/", DONE)
        assert ask("endpoints", "update", "15", "--cold-workers", "0").exit_code == 0
        assert vast.asked[0].body == {"client_id": "me", "endptjob_id": 15, "cold_workers": 0}
        assert ask("endpoints", "update", "15").exit_code == 2

    def test_one_that_is_gone(self, vast, ask):
        vast.on("* /api/v0/endptjobs/15/", Told({"msg": "Endpoint job 15 not found"}, 404))
        assert ask("endpoints", "show", "15").exit_code == 1
        assert "was not there" in ask("endpoints", "delete", "15").stdout


class TestGroups:
    def test_no_key_of_theirs_is_printed(self, vast, ask):
        vast.on("GET /api/v0/autojobs/", {"success": True, "results": [GROUP]})
        for arguments in (["list"], ["list", "--json"], ["show", "42"], ["show", "42", "--json"]):
            result = ask("workergroups", *arguments)
            assert result.exit_code == 0
            assert "llm" in result.stdout
            assert "gr-secret" not in result.stdout

    def test_the_query_is_completed_at_creation(self, vast, ask):
        vast.on("POST /api/v0/autojobs/", {"success": True, "id": 42})
        ask("workergroups", "create", "--endpoint", "llm", "--query", "gpu_ram>=23")
        ask("workergroups", "create", "--endpoint", "llm")
        ask("workergroups", "create", "--endpoint", "llm", "--query", "x=1", "--no-defaults")
        defaults = "verified=True rentable=True rented=False"
        sent = [asked.body["search_params"] for asked in vast.asked]
        assert sent == [f"gpu_ram>=23 {defaults}", defaults, "x=1"]

    def test_an_update_does_not_touch_the_query(self, vast, ask):
        vast.on("PUT /api/v0/autojobs/42/", DONE)
        assert ask("workergroups", "update", "42", "--endpoint-id", "15").exit_code == 0
        body = vast.asked[0].body
        assert body == {"client_id": "me", "autojob_id": 42, "endpoint_id": 15}

    def test_a_query_that_cannot_be_read_is_not_sent(self, vast, ask):
        result = ask("workergroups", "update", "42", "--query", "a==")
        assert result.exit_code == 2
        assert vast.asked == []
