"""Rows of the catalogue that no controller can prevent: why, and which test covers them."""

from __future__ import annotations

ELSEWHERE = {
    "A1": "The controller looks for no process; a worker is known by its recorded number and is "
    "ended by it: `test_a_number_that_another_process_has_got_is_left_alone` in "
    "`tests/e2e/test_start_server.py`.",
    "A16": "The controller changes nothing inside an instance; its onstart starts the worker, and "
    "a second start starts no second one: `tests/e2e/test_start_server.py`.",
    "S8": "The onstart of a plain image pipes `start_server.sh` of the main branch into a shell, "
    "so that script is not pinned; a download cut short does nothing, and `PYWORKER_REF` in the "
    "group's environment pins what is cloned: `test_a_commit_can_be_named` in "
    "`tests/e2e/test_start_server.py`.",
}
