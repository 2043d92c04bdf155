"""The market and all that stands beside it, made from options and restored from a state file.

Opens no socket and starts no thread; the clock's beginning and random texts come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vast_pyworker.errors import SettingError
from vast_pyworker.ports import is_loopback

from .accounts.accounts import Accounts
from .accounts.serverless import Serverless
from .accounts.ssh_keys import SshKeys
from .accounts.templates import Templates
from .api.parts import Parts
from .calls.limits import FORMS
from .calls.unknown_paths import UnknownPaths
from .faults.book import Fault, FaultBook, parse_faults
from .instances.results import Results
from .market import Market
from .offers.catalogue import generate
from .runtime import Runtime
from .world import store
from .world.clock import Clock

DEFAULT_PORT = 8556
DEFAULT_KEY = "market"
MOST_HOSTS = 100_000


@dataclass(frozen=True)
class MarketOptions:
    """What can be chosen.

    ``clock`` is how many times faster than real time the market's runs; 0 moves only by
    ``POST /market/advance``. ``runtime`` is "none" or "process"; processes live below ``folder``:
    where None, beside the state file or in a new temporary one. ``state`` is kept between runs,
    ``faults`` are read at the start.
    ``limits_form`` is one of ``limits.FORMS``. ``credit`` is in dollars. ``port`` 0: any free one.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    seed: int = 0
    hosts: int = 200
    clock: float = 1.0
    runtime: str = "none"
    folder: Path | None = None
    state: Path | None = None
    faults: Path | None = None
    limits: bool = True
    limits_form: str = "bucket"
    searches_a_day: int | None = None
    allow_remote: bool = False
    key: str = DEFAULT_KEY
    credit: float = 100.0
    loading_median_s: float = 30.0


RUNTIMES = ("none", "process")


def check(options: MarketOptions) -> None:
    """Raises SettingError, one sentence, for what cannot be."""
    wrong = (
        (not 1 <= options.hosts <= MOST_HOSTS, f"--hosts is a number from 1 to {MOST_HOSTS}"),
        (not 0 <= options.clock < float("inf"), "--clock is real, or a factor of 0 or more"),
        (options.runtime not in RUNTIMES, f"--runtime is one of {', '.join(RUNTIMES)}"),
        (options.limits_form not in FORMS, f"the form of a limit is one of {', '.join(FORMS)}"),
        (not 0 <= options.credit < 1e12, "--credit is an amount of dollars"),
        (not 0 <= options.loading_median_s < 1e6, "the loading time is a number of seconds"),
        (not options.key.strip(), "the key must not be empty"),
        (not 0 <= options.port <= 65_535, "--port is a number from 0 to 65535"),
        (
            not options.allow_remote and not is_loopback(options.host),
            f"it has no secrets and runs programs, and other machines would see {options.host}; "
            "use --host 127.0.0.1, or say --allow-remote",
        ),
    )
    for is_wrong, sentence in wrong:
        if is_wrong:
            raise SettingError(f"The market cannot be made: {sentence}.")


class Birth:
    """When the market was first opened, epoch seconds: its machines are drawn around that time."""

    def __init__(self, epoch: float) -> None:
        self.epoch = epoch

    def state(self) -> dict[str, Any]:
        return {"epoch": self.epoch}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.epoch = float(state["epoch"])


@dataclass(frozen=True)
class Built:
    """The parts, the faults they suffer, and what of it is kept in ``state``."""

    parts: Parts
    book: FaultBook
    birth: Birth
    state: Path | None

    def save(self) -> None:
        """Write the state file, where there is to be one."""
        if self.state is not None:
            store.save(self.state, self.kept())

    def load(self) -> None:
        """Become what was saved, where there is a state file. Raises SettingError."""
        if self.state is not None:
            store.load(self.state, self.kept())

    def kept(self) -> dict[str, store.Kept]:
        """What survives, in the order in which it is restored."""
        parts = self.parts
        return {
            "birth": self.birth,
            "accounts": parts.accounts,
            "templates": parts.templates,
            "ssh_keys": parts.ssh_keys,
            "serverless": parts.serverless,
            "market": parts.market,
        }


def build(
    options: MarketOptions, runtime: Runtime, *, epoch: float, new_text: Callable[[], str]
) -> Built:
    """Everything, restored where there is a state. ``epoch`` is now; ``new_text`` makes keys."""
    birth = Birth(epoch)
    if options.state is not None:
        store.load(options.state, {"birth": birth})
    accounts = Accounts(new_text)
    accounts.open("local", credit=options.credit, now=epoch, key=options.key)
    clock = Clock(options.clock, epoch=epoch)
    book = FaultBook(options.seed, faults_in(options.faults))
    market = Market(
        generate(options.seed, options.hosts, epoch=birth.epoch),
        clock,
        runtime,
        accounts=accounts,
        seed=options.seed,
        faults=book,
        loading_median_s=options.loading_median_s,
    )
    parts = Parts(
        market=market,
        accounts=accounts,
        templates=Templates(),
        ssh_keys=SshKeys(),
        serverless=Serverless(new_text),
        results=Results(new_text),
        unknown_paths=UnknownPaths(),
        now=clock.now,
    )
    built = Built(parts, book, birth, options.state)
    built.load()
    return built


def faults_in(path: Path | None) -> list[Fault]:
    """The faults of a file, none where there is no file. Raises SettingError."""
    if path is None:
        return []
    try:
        return parse_faults(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"The faults in {path} cannot be read: {error}") from error
