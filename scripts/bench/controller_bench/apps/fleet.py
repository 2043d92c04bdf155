"""One measured process: python -m controller_bench.apps.fleet SCENE FOLDER WORKERS GROUPS WORD.

SCENE tick: WORD is ``fake`` or ``real`` and a number of ticks, ``real:100``; adopt: the number of
restarts; deathwave: how they die. Prints what was measured as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from controller_bench import scenes


def main(scene: str, folder: str, workers: str, groups: str, word: str) -> None:
    place, size, parts = Path(folder), int(workers), int(groups)
    if scene == "tick":
        ears, ticks = word.split(":")
        told = scenes.steady(place, size, parts, real=ears == "real", ticks=int(ticks))
    elif scene == "adopt":
        told = scenes.restarts(place, size, parts, int(word))
    else:
        told = scenes.deaths(place, size, parts, word)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
