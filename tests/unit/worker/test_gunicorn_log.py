"""gunicorn speaks in the worker's format, on one stream, without the worker's secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from gunicorn.config import Config

from vast_pyworker.errors import SettingError
from vast_pyworker.settings import Settings
from vast_pyworker.worker.gunicorn_log import WorkerLogger, configure, secrets_of

SECRETS = {"MASTER_TOKEN": "the-master-token", "PYWORKER_API_KEYS": "key-one,key-two"}


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(f"gunicorn.{name}") for name in ("error", "access"))]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in loggers]
    quiet = logging.getLogger("urllib3").level
    yield
    for each, handlers, level, propagate in before:
        for handler in set(each.handlers) - set(handlers):
            handler.close()
        each.handlers[:], each.level, each.propagate = handlers, level, propagate
    logging.getLogger("urllib3").setLevel(quiet)
    logging.getLogger().setLevel(before[0][2])


def logger(monkeypatch: pytest.MonkeyPatch, **options: object) -> WorkerLogger:
    """gunicorn's logger, as it is made in a process with the secrets in its environment."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    cfg = Config()
    for name, value in {"errorlog": "-", **options}.items():
        cfg.set(name, value)
    return WorkerLogger(cfg)


def captured() -> io.StringIO:
    """What the one handler writes, from now on."""
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream := io.StringIO())
    return stream


def test_gunicorn_writes_json_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    made = logger(monkeypatch)
    stream = captured()
    made.error("Listening with %s and %s", "the-master-token", "key-two")
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told["message"] == "Listening with [secret] and [secret]"
    assert (told["level"], told["logger"]) == ("error", "gunicorn.error")


def test_a_file_for_errors_is_gunicorns_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = logger(monkeypatch, errorlog=str(tmp_path / "errors"))
    made.error("told to the file")
    assert "[ERROR] told to the file" in (tmp_path / "errors").read_text()


def test_the_access_log_keeps_its_file_and_format(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = logger(monkeypatch, accesslog=str(tmp_path / "access"))
    made.access_log.info("a line")
    assert (tmp_path / "access").read_text() == "a line\n"


def test_every_secret_is_blotted_out_and_the_level_kept() -> None:
    settings = Settings.from_env({**SECRETS, "LOG_LEVEL": "warning", "LOG_FORMAT": "text"})
    assert set(secrets_of(settings)) == {"the-master-token", "key-one", "key-two"}
    configure(settings)
    stream = captured()
    logging.getLogger("any").info("nothing")
    logging.getLogger("any").warning("with key-one")
    assert stream.getvalue().endswith("warning any: with [secret]\n")
    assert stream.getvalue().count("\n") == 1


def test_a_level_that_there_is_not_is_a_setting_error() -> None:
    with pytest.raises(SettingError, match="LOG_LEVEL"):
        configure(Settings.from_env({"LOG_LEVEL": "chatty"}))
