#!/usr/bin/env python3
"""The controller: the same as ``vast-pyworker controller``, from a checkout."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from vast_pyworker.cli import main

if __name__ == "__main__":
    main(["controller", *sys.argv[1:]], prog_name="controller.py")
