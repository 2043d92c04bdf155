"""Workers that many tests share: each test here leaves them as it found them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(each) for each in (HERE, HERE.parent / "e2e") if str(each) not in sys.path]

from scenes import Farewell, Life, live, part  # noqa: E402
from support import House, furnished  # noqa: E402

from vast_pyworker.worker.fake_model import FakeModel  # noqa: E402


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel() as each:
        yield each


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A worker that is ready, with signed routes."""
    folder = tmp_path_factory.mktemp("house")
    with FakeModel() as model, furnished(folder, model, MAX_BODY="1048576") as house:
        yield house


@pytest.fixture(scope="session")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A worker whose model has not loaded and never will."""
    folder = tmp_path_factory.mktemp("waiting")
    with FakeModel() as model:
        model.health = 503
        with furnished(folder, model, "/livez") as house:
            house.worker.await_state("loading")
            yield house


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """What a worker said while its model came up, failed and recovered."""
    return live(tmp_path_factory.mktemp("life"))


@pytest.fixture(scope="session")
def farewell(tmp_path_factory: pytest.TempPathFactory) -> Farewell:
    """What was seen of a worker that got SIGTERM while it streamed."""
    return part(tmp_path_factory.mktemp("farewell"))
