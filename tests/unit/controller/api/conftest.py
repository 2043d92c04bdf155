"""A whole controller on a real socket, over a fake provider; and the plainest client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.fake_controller import FakeController
from vast_pyworker.controller.secrets import Secrets, open_secrets

TIMEOUT_S = 10.0


class Client:
    """``call`` returns the response and closes its connection; by default with the admin's key."""

    def __init__(self, controller: FakeController) -> None:
        self.controller = controller

    def call(
        self, method: str, path: str, body: Any = None, *, key: Any = Right.ADMIN, **more: Any
    ) -> requests.Response:
        text = self.controller.keys[key] if isinstance(key, Right) else key
        headers = {
            **({"Authorization": f"Bearer {text}"} if text else {}),
            **more.pop("headers", {}),
        }
        with requests.Session() as session:
            return session.request(
                method, self.controller.url + path, json=body, headers=headers,
                timeout=TIMEOUT_S, **more,
            )  # fmt: skip

    def json(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.call(method, path, body, **more)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.json()

    def refused(self, status: int, method: str, path: str, body: Any = None, **more: Any) -> str:
        """The sentence of a refusal with that status, which is all that it says."""
        answer = self.call(method, path, body, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        sentence = str(answer.json()["error"])
        assert sentence.endswith((".", "!")) and "Traceback" not in sentence
        return sentence


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    """Made once: an RSA key takes a while."""
    return open_secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def start(tmp_path: Path, secrets: Secrets) -> Iterator[Callable[..., Client]]:
    """Start a controller; every one started is ended."""
    running: list[FakeController] = []

    def started(*args: Any, **options: Any) -> Client:
        folder = tmp_path / f"state{len(running)}"
        folder.mkdir()
        controller = FakeController(folder, *args, **{"secrets": secrets, **options})
        running.append(controller.__enter__())
        return Client(controller)

    yield started
    for controller in reversed(running):
        controller.__exit__()


@pytest.fixture
def client(start: Callable[..., Client]) -> Client:
    """A group of two that are ready."""
    made = start()
    made.controller.tick(10, times=12)
    assert [m.stage for m in made.controller.parts.loop.fleet.members] == ["ready", "ready"]
    return made
