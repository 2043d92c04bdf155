"""What a start has in hand: the backend, the settings, the environment, where the files are.

What is not here: doing anything with it (``start``, ``doctor``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vast_pyworker.settings import AUTOSCALER, Settings

from . import listening

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Site:
    """What is to be started or looked at, and where its files are."""

    backend: str
    settings: Settings
    environ: Mapping[str, str]
    state: Path

    @property
    def place(self) -> listening.Place:
        return listening.place_of(self.settings)

    @property
    def pidfile(self) -> Path:
        return self.state / f"worker-{self.settings.port}.json"

    @property
    def log(self) -> Path:
        return self.state / f"worker-{self.settings.port}.log"


def with_defaults(environ: Mapping[str, str], backend: str) -> dict[str, str]:
    """The environment of the worker: on an instance, with what Vast's own start script sets."""
    given = {name: value for name, value in environ.items() if value.strip()}
    chosen = {"BACKEND": backend} if backend else {}
    if "CONTAINER_ID" in given:
        port = given.get("AUTH_PORT", "3000")
        chosen = {"REPORT_ADDR": AUTOSCALER, "USE_SSL": "true", "WORKER_PORT": port, **chosen}
    kept = {name: value for name, value in given.items() if name != "BACKEND" or not backend}
    return {**environ, **chosen, **kept}


def site_of(environ: Mapping[str, str]) -> Site:
    """Read the settings; raises SettingError."""
    settings = Settings.from_env(environ)
    state = Path(settings.state_dir or ROOT / ".pyworker").absolute()
    settings = replace(settings, state_dir=str(state))
    return Site(settings.backend, settings, {**environ, "PYWORKER_STATE": str(state)}, state)
