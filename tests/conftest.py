"""What holds for every test."""

from __future__ import annotations

import signal

# A shell that starts us in the background has SIGINT ignored, and so would every process that a
# test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
