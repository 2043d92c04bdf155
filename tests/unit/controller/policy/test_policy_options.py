from __future__ import annotations

from typing import Any

import pytest

from vast_pyworker.controller.policy import POLICIES


def test_defaults_are_filled_in() -> None:
    assert POLICIES["hold"].check({}) == {}
    assert POLICIES["target"].check({"utilisation": 1})["utilisation"] == 1
    assert POLICIES["target"].check({})["down_window_s"] == 300.0
    checked = POLICIES["vast"].check({"cold_workers": 0})
    assert checked == {
        "min_load": 0.0, "min_cold_load": 0.0, "target_util": 0.9, "cold_mult": 2.5,
        "cold_workers": 0, "max_queue_time": 30.0, "target_queue_time": 10.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "options", "sentence"),
    [
        (
            "target",
            {"utilization": 0.7},
            "Policy target has no option utilization: do you mean utilisation? It has utilisation,",
        ),
        (
            "target",
            {"utilisation": 1.2},
            "utilisation of policy target is 1.2; it has to be a number above 0 to 1.",
        ),
        ("target", {"utilisation": 0}, "utilisation of policy target is 0; it has to be"),
        ("target", {"utilisation": True}, "utilisation of policy target is True; it has to be"),
        ("target", {"utilisation": float("nan")}, "utilisation of policy target is nan;"),
        ("target", {"utilisation": "0.7"}, "utilisation of policy target is '0.7';"),
        (
            "hold",
            {"instances": 2.5},
            "instances of policy hold is 2.5; it has to be a whole number from 0.",
        ),
        (
            "vast",
            {"inactivity_timeout": "never"},
            "inactivity_timeout of policy vast is 'never'; it has to be a number.",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(
    policy: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError) as caught:
        POLICIES[policy].check(options)
    assert str(caught.value).startswith(sentence)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValueError) as caught:
        POLICIES["vast"].check({"cold_mult": -1, "target_util": 2, "nonsense": 1})
    assert len(str(caught.value).splitlines()) == 3
