"""Where the key and the address come from, and what is told where they are missing."""

from __future__ import annotations

import pytest
from vast_rows import listed

from vast_pyworker.vastai.fake_vast import Told

LIST = "GET /api/v1/instances/"


def key_sent(vast) -> str:
    return vast.asked[-1].headers["authorization"].removeprefix("Bearer ")


@pytest.fixture(autouse=True)
def nothing_rented(vast):
    vast.on(LIST, listed())


def test_the_key_is_of_the_environment(vast, ask):
    assert ask("instances").exit_code == 0
    assert key_sent(vast) == "key-never-printed"


def test_else_of_the_file_of_the_official_client(vast, ask, tmp_path):
    path = tmp_path / ".config/vastai/vast_api_key"
    path.parent.mkdir(parents=True)
    path.write_text("from-the-file\n")
    assert ask("instances", VAST_API_KEY="").exit_code == 0
    assert key_sent(vast) == "from-the-file"


def test_which_may_be_elsewhere(vast, ask, tmp_path):
    path = tmp_path / "config/vastai/vast_api_key"
    path.parent.mkdir(parents=True)
    path.write_text("from-elsewhere")
    environ = {"VAST_API_KEY": None, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert ask("instances", **environ).exit_code == 0
    assert key_sent(vast) == "from-elsewhere"


def test_no_key_is_one_sentence_with_the_remedy(vast, ask, tmp_path):
    result = ask("instances", VAST_API_KEY=None)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "set VAST_API_KEY" in line
    assert str(tmp_path / ".config/vastai/vast_api_key") in line
    assert vast.asked == []


@pytest.mark.parametrize("key", ["two words", "schlüssel", "line\nline"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(key, vast, ask):
    result = ask("instances", VAST_API_KEY=key)
    assert result.exit_code == 2
    assert key not in result.output
    assert vast.asked == []


def test_a_file_that_cannot_be_read_is_told(ask, tmp_path):
    (tmp_path / ".config/vastai/vast_api_key").mkdir(parents=True)
    result = ask("instances", VAST_API_KEY=None)
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


@pytest.mark.parametrize("url", ["", "ftp://host", "console.vast.ai", "http://"])
def test_what_is_no_address_is_refused(url, ask):
    result = ask("instances", "--url", url)
    assert result.exit_code == 2
    assert "https://console.vast.ai" in result.stderr


def test_an_option_goes_before_the_environment(vast, ask):
    assert ask("instances", "--url", f"{vast.url}/", VAST_URL="http://127.0.0.1:9").exit_code == 0


def test_a_provider_that_is_not_there_exits_with_5(ask):
    result = ask("instances", "--url", "http://127.0.0.1:9", "--timeout", "0.01")
    assert result.exit_code == 5
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Told({"success": False, "error": "auth_error", "msg": "Invalid user key"}, 404), 1),
        (Told({"detail": "API requests too frequent endpoint threshold=60"}, 429), 5),
        (Told({"error": "search_quota_exceeded", "msg": "used up"}, 429), 5),
        (Told(b"<html>bad gateway</html>", 502), 5),
        (Told({"msg": "broken"}, 500), 5),
        (Told({"success": False, "error": "deprecated_endpoint", "msg": "gone"}, 410), 1),
    ],
)
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_failures_are_one_sentence_and_never_an_empty_list(answer, code, as_json, vast, ask):
    vast.on(LIST, answer)
    result = ask("instances", "--timeout", "0.01", *as_json)
    assert result.exit_code == code
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
