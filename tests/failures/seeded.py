"""Tests of many random histories: their seeds in blocks, and which one failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest


def give_seeds(metafunc: pytest.Metafunc, block: int, share: int = 1) -> None:
    """``seeds`` in blocks of ``block``: the one of ``--seed``, or a ``share``-th of ``--seeds``."""
    if "seeds" not in metafunc.fixturenames:
        return
    config = metafunc.config
    one, count = config.getoption("--seed", None), config.getoption("--seeds", 1000)
    chosen = [one] if one is not None else list(range(count // share))
    blocks = [chosen[at : at + block] for at in range(0, len(chosen), block)]
    metafunc.parametrize("seeds", blocks, ids=lambda each: f"{each[0]}-{each[-1]}")


def live_all(
    live: Callable[[int, Callable[[str], None]], object],
    seeds: Sequence[int],
    request: pytest.FixtureRequest,
) -> None:
    """Live each history; a failure names the command that repeats it and says its steps."""
    alone = request.config.getoption("--seed", None) is not None
    for seed in seeds:
        said: list[str] = []
        try:
            live(seed, said.append if alone else _unheard)
        except BaseException as exc:  # a kill that nobody caught is a failure of its seed as well
            raise AssertionError(f"{exc!r}: pytest {request.path} --seed {seed} -s") from exc
        finally:
            if alone:
                request.config.get_terminal_writer().write("\n".join(["", *said, ""]))


def _unheard(sentence: str) -> None:
    pass
