"""What a request is worth before it runs, and after: a route's word, the Backend's, a constant."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from vast_pyworker.errors import Invalid
from vast_pyworker.worker.units.work import Work, last_json
from vast_pyworker.worker.units.workload import constant, tokens

TAIL = b'data: {"usage": {"total_tokens": 42}}\n\ndata: [DONE]\n\n'


class Hooked:
    def __init__(self) -> None:
        self.settled: list[Any] = []

    def workload(self, payload: Any) -> float:
        return float(payload["steps"])

    def settle(self, payload: Any, answer: Any) -> float:
        self.settled.append((payload, answer))
        return float(answer["steps"]) * 2


def of(workload: Any = None, backend: Any = None, has_payload: bool = True) -> Work:
    return Work(workload, backend, has_payload=has_payload)


def test_the_routes_word_comes_first_then_the_backends_then_a_constant() -> None:
    assert of(constant(7.0), Hooked()).before({"steps": 3}) == 7.0
    assert of(None, Hooked()).before({"steps": 3}) == 3.0
    assert of(None, object()).before({"steps": 3}) == 100.0


def test_a_request_without_a_payload_is_worth_nothing_unless_the_route_says_so() -> None:
    assert of(None, Hooked(), has_payload=False).before({}) == 0.0
    assert of(constant(2.0), None, has_payload=False).before({}) == 2.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, "3", None, 10**400])
def test_what_is_no_amount_of_work_is_refused(value: Any) -> None:
    with pytest.raises(Invalid, match="finite"):
        of(lambda payload: value).before({})


def test_a_whole_number_is_an_amount_of_work() -> None:
    assert of(lambda payload: 3).before({}) == 3.0


def test_a_calculator_that_fails_blames_the_payload_and_logs_no_prompt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Invalid, match="KeyError"):
        of(None, Hooked()).before({"prompt": "secret words"})

    def quotes(payload: Any) -> float:
        raise ValueError(payload["prompt"])

    with pytest.raises(Invalid):
        of(quotes).before({"prompt": "secret words"})
    assert "ValueError at" in caplog.text
    assert "secret words" not in caplog.text


def test_a_calculators_own_refusal_is_passed_on() -> None:
    def refuses(payload: Any) -> float:
        raise Invalid("Too many steps.")

    with pytest.raises(Invalid, match="Too many steps"):
        of(refuses).before({})


def test_tokens_are_measured_afterwards() -> None:
    assert of(tokens).measures
    assert of(tokens).after({}, TAIL) == 42.0
    assert of(tokens).after({}, b"no usage") is None


def test_other_work_is_not_measured_in_tokens() -> None:
    assert not of(constant(1.0)).measures
    assert not of(None, object()).measures


def test_the_backend_measures_if_it_can() -> None:
    backend = Hooked()
    work = of(None, backend)
    assert work.measures
    assert work.after({"a": 1}, b'{"steps": 4}') == 8.0
    assert backend.settled == [({"a": 1}, {"steps": 4})]
    assert not of(constant(1.0), backend, has_payload=False).measures


@pytest.mark.parametrize("tail", [b"{}", b"nothing", b'{"steps": "x"}', b'{"steps": -1}', b""])
def test_a_measurement_that_fails_leaves_the_estimate(
    tail: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert of(None, Hooked()).after({}, tail) is None
    assert "the estimate stands" in caplog.text


@pytest.mark.parametrize(
    ("tail", "found"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'{\n "a": 1,\n "b": {\n "c": 2}\n}\n', {"a": 1, "b": {"c": 2}}),
        (b'data: {"a": 1}\n\ndata: {"a": 2}\n\ndata: [DONE]\n\n', {"a": 2}),
        (b'data:{"a": 3}', {"a": 3}),
        (b'cut off"}\n{"a": 4}\n', {"a": 4}),
        (b'{"a": 5}\n{"b": ', {"a": 5}),
        (b"[1, 2]", {}),
        (b"\xff\xfe{", {}),
        (b"", {}),
    ],
)
def test_the_last_object_in_an_answer(tail: bytes, found: Any) -> None:
    assert last_json(tail) == found
