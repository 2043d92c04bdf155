"""What the exit codes of the command line mean, and which error ends with which."""

from __future__ import annotations

from typing import NoReturn

import click

from vast_pyworker.errors import (
    InvalidRequest,
    ProviderError,
    ProviderUnreachable,
    PyworkerError,
    QueryError,
    RateLimited,
    SettingError,
    WishError,
)

FAILED = 1  # a fault was found or met
USAGE = 2  # the command line, a query, a file, a key or the environment is wrong
PARTIAL = 3  # some of it was done; what is left is named
OVER_LIMITS = 4  # a budget or a limit forbids it; nothing was done
UNAVAILABLE = 5  # the provider cannot be reached, is broken or keeps saying "later"


class Refused(click.ClickException):
    exit_code = USAGE


class Partial(click.ClickException):
    exit_code = PARTIAL


class OverLimits(click.ClickException):
    exit_code = OVER_LIMITS


class Unavailable(click.ClickException):
    exit_code = UNAVAILABLE


_BY_CODE = {
    FAILED: click.ClickException,
    USAGE: Refused,
    PARTIAL: Partial,
    OVER_LIMITS: OverLimits,
    UNAVAILABLE: Unavailable,
}


def ending(sentence: str, code: int) -> click.ClickException:
    """What, when raised, ends the command with one sentence on stderr and ``code``."""
    return _BY_CODE[code](sentence)


def code_of(error: PyworkerError) -> int:
    if isinstance(error, QueryError | SettingError | WishError):
        return USAGE
    if isinstance(error, InvalidRequest) and error.status is None:
        return USAGE  # refused here, before anything was sent
    if isinstance(error, ProviderUnreachable | RateLimited):
        return UNAVAILABLE
    if isinstance(error, ProviderError) and (error.status or 0) >= 500:
        return UNAVAILABLE
    return FAILED


def refuse(sentence: str) -> NoReturn:
    """End with USAGE: what was asked for cannot be done as asked, and nothing was done."""
    raise Refused(sentence)
