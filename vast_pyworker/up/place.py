"""Where one demonstration keeps its files, and what it writes there. Pure but for ``write``."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

WORKER_PORT = 3000
MODEL_PORT = 5001

_GROUPS = """\
# Made by scripts/up. docs/groups.md says what every key means.
fleet = "up"

[limits]
instances = {most}
usd_per_hour = 5.0
usd_per_day = 200.0

[group.{name}]
query = "num_gpus=1 gpu_ram>=8"
max_usd_per_hour = 1.0
min_instances = 1
max_instances = {most}
policy = "target"
policy_options = {{ utilisation = 0.4, down_window_s = {down_s} }}
on_shutdown = "destroy"

[group.{name}.pace]
cooldown_down_s = {down_s}

[group.{name}.deadlines]
drain_s = 30

[group.{name}.launch]
backend = {backend}
image = "pyworker/local"
disk_gb = 10
onstart = {onstart}
ports = [{worker_port}, {model_port}]

[group.{name}.launch.env]
USE_SSL = "false"
PYWORKER_HOST = "127.0.0.1"
PYWORKER_STATE = ".pyworker"
PYWORKER_VENV = {venv}
BENCHMARK_RUNS = "1"
LLAMACPP_ARGS = "--threads {threads}"
"""


@dataclass(frozen=True)
class Place:
    """``folder`` is the demonstration's own, ``checkout`` where ``start_server.sh`` lies, ``venv``
    the environment that every worker runs in. ``threads`` is how many a model on the CPU may use:
    more than there are cores for all of them and each waits for the others."""

    folder: Path
    checkout: Path
    venv: Path
    backend: str
    threads: int = 1

    @property
    def groups_file(self) -> Path:
        return self.folder / "groups.toml"

    @property
    def market_folder(self) -> Path:
        return self.folder / "instances"

    @property
    def state(self) -> Path:
        return self.folder / "controller"

    @property
    def name(self) -> str:
        """Of the group and of its endpoint."""
        plain = "".join(each if each.isalnum() else "-" for each in self.backend.lower())
        return plain.strip("-")

    def write(self, most: int, down_s: float) -> None:
        """Write ``groups.toml``."""
        self.groups_file.write_text(self.groups(most, down_s))

    def groups(self, most: int, down_s: float) -> str:
        """What the controller is to keep: one worker, and up to ``most`` under load."""
        return _GROUPS.format(
            name=self.name,
            most=most,
            down_s=down_s,
            backend=json.dumps(self.backend),
            onstart=json.dumps(self.onstart()),
            worker_port=WORKER_PORT,
            model_port=MODEL_PORT,
            venv=json.dumps(str(self.venv)),
            threads=self.threads,
        )

    def onstart(self) -> str:
        """Start the worker of this checkout. Instances here share one network, so the model server
        listens on the port that the market mapped for it."""
        script = shlex.quote(str(self.checkout / "start_server.sh"))
        mapped = f"$VAST_TCP_PORT_{MODEL_PORT}"
        return (
            "#!/bin/bash\n"
            f'export MODEL_SERVER_URL="http://127.0.0.1:{mapped}"\n'
            f"{script} {shlex.quote(self.backend)}\n"
        )
