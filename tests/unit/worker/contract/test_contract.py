"""A handler is what can be called as one; a constructor gets what it takes."""

from __future__ import annotations

import pytest

from vast_pyworker.errors import BackendError
from vast_pyworker.worker.contract.contract import arguments_for, takes_two

GIVEN = {"id": 7, "token": "secret"}


@pytest.mark.parametrize(
    ("handler", "accepted"),
    [
        (lambda backend, request: None, True),
        (lambda *args: None, True),
        (lambda backend, request, extra=1: None, True),
        (lambda backend, request, *, needed: None, False),
        (max, True),
        (object(), False),
    ],
)
def test_a_handler_is_whatever_takes_a_backend_and_a_request(handler, accepted):
    assert takes_two(handler) is accepted


class Named:
    def __init__(self, token):
        """Takes one of those that are given."""


class Positions:
    def __init__(self, *args):
        """Takes them all, in their order."""


class Anything:
    def __init__(self, *args, **kwargs):
        """Takes them all, by name."""


class Nothing:
    pass


class Demanding:
    def __init__(self, token, model):
        """Demands what nobody gives."""


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        (Named, ((), {"token": "secret"})),
        (Positions, ((7, "secret"), {})),
        (Anything, ((), GIVEN)),
        (Nothing, ((), {})),
    ],
)
def test_a_constructor_gets_what_it_takes(kind, taken):
    assert arguments_for(kind, GIVEN, "mine/backend.py") == taken


def test_a_constructor_that_demands_more_is_a_fault_that_names_both():
    with pytest.raises(BackendError, match=r"Demanding .*'model'; it is given id, token"):
        arguments_for(Demanding, GIVEN, "mine/x.py")
