"""What is sent to create an instance, and what the answer says exists. Pure.

What it does not: send (``instances``), or turn docker flags into ``env`` (``launch.parse_env``).
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from vast_pyworker.errors import (
    CreatedStopped,
    InvalidRequest,
    OutcomeUnknown,
    ProviderError,
    ResourcesUnavailable,
)

from . import answers, values
from .records import Instance

LONGEST_ONSTART = 4048
LONGEST_LABEL = 1024
CREATE_KEY = "PUT /asks/{id}/"
BULK_KEY = "POST /asks/bulk/"
# Codes with which a 200 surely means that nothing was made.
_NOTHING_MADE = ("invalid_args", "invalid_price", "invalid_request", "no_ssh_key_for_vm")


def new_label() -> str:
    """A label that nothing else carries."""
    return f"pyworker/{uuid.uuid4()}"


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What to run and how.

    ``label`` finds it again; where none is given one is made. ``env`` is an object: ports, volumes
    and the host name are keys in it, as ``launch.parse_env`` writes them. Whoever owns the machine
    can read ``env`` and ``onstart``, and the console shows the latter: no secret belongs there.
    ``cancel_unavail`` False may leave an instance that stands still and is billed.
    """

    image: str | None = None  # needed unless there is a template
    disk_gb: float = 10.0  # for life; a smaller one may come, see Created.disk_short
    label: str = field(default_factory=new_label)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    bid_usd_per_hour: float | None = None  # for the machine; None rents on demand
    onstart: str | None = field(default=None, repr=False)
    runtype: str | None = None
    args: Sequence[str] | None = None
    image_login: str | None = field(default=None, repr=False)
    template_hash: str | None = None
    template_id: int | None = None
    cancel_unavail: bool = True
    target_state: str | None = None  # "running" or "stopped"
    force: bool = False
    volume: Mapping[str, Any] | None = None
    user: str | None = None
    jupyter_dir: str | None = None
    use_jupyter_lab: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)  # other keys of the body

    def body(self) -> dict[str, Any]:
        """What is sent. Raises InvalidRequest for what the provider would refuse or lose."""
        for fault in _faults(self):
            raise InvalidRequest(fault, endpoint=CREATE_KEY)
        return {**self.extra, **self._always(), **self._where_given()}

    def _always(self) -> dict[str, Any]:
        return {
            "client_id": "me",
            "disk": self.disk_gb,
            "label": self.label,
            "env": dict(self.env),
            "price": self.bid_usd_per_hour,
            "cancel_unavail": self.cancel_unavail,
            "force": self.force,
        }

    def _where_given(self) -> dict[str, Any]:
        optional = {
            "image": self.image,
            "onstart": self.onstart,
            "runtype": self.runtype,
            "args": None if self.args is None else list(self.args),
            "image_login": self.image_login,
            "template_hash_id": self.template_hash,
            "template_id": self.template_id,
            "target_state": self.target_state,
            "volume_info": self.volume,
            "user": self.user,
            "jupyter_dir": self.jupyter_dir,
            "use_jupyter_lab": self.use_jupyter_lab or None,
        }
        return {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True)
class Created:
    """An instance that exists. Also one with a short disk is returned: its id must not be lost."""

    instance_id: int
    label: str
    started: bool  # False only where ``target_state="stopped"`` was asked for
    api_key: str | None = field(default=None, repr=False)  # of the instance, for itself alone
    disk_wanted_gb: float = 0.0
    instance: Instance | None = None  # the row read right after it; None where that failed

    @property
    def disk_gb(self) -> float | None:
        """What it really got; None where it could not be read."""
        return None if self.instance is None else self.instance.disk_gb

    @property
    def disk_short(self) -> bool | None:
        """Whether it got less disk than asked for, which is not announced; None: not read."""
        return None if self.disk_gb is None else self.disk_gb < self.disk_wanted_gb - 0.01

    @property
    def usd_per_hour(self) -> float | None:
        """Its own price, which may differ from the offer's; None where it could not be read."""
        return None if self.instance is None else self.instance.usd_per_hour


@dataclass(frozen=True)
class BulkResult:
    """What became of one offer of a bulk create.

    ``instance_id`` where something exists; ``error`` where not all is well. A CreatedStopped comes
    with both; OutcomeUnknown (its label is the request's) with neither id nor certainty.
    """

    offer_id: int
    instance_id: int | None
    started: bool
    error: ProviderError | None = None


def read_created(answer: object, request: LaunchRequest) -> Created:
    """Raises OutcomeUnknown where a good answer names no instance."""
    row = values.mapping(answer)
    made = values.whole(row.get("new_contract"))
    if made is None:
        raise unknown(request.label, CREATE_KEY, "the answer names no instance")
    key = values.text(row.get("instance_api_key"))
    return Created(made, request.label, True, key, request.disk_gb)


def read_refused(error: ProviderError, request: LaunchRequest) -> Created:
    """Raises what ``error`` means for a create, unless a stopped instance was asked for."""
    if isinstance(error, CreatedStopped) and request.target_state == "stopped":
        made = error.instance_id
        return Created(made, request.label, False, None, request.disk_gb)
    raise_refusal(error, request.label)


def raise_refusal(error: ProviderError, label: str) -> NoReturn:
    """Raises ``error``, or OutcomeUnknown where it is a 200 that leaves open what was made."""
    vague = isinstance(error, InvalidRequest | ResourcesUnavailable) and error.status == 200
    if vague and error.code not in _NOTHING_MADE:
        said = f"it was refused without a known reason: {error.code or 'no code'}"
        raise unknown(label, error.endpoint, said) from error
    raise error


def read_bulk(answer: object, offer_ids: Sequence[int], label: str) -> Iterator[BulkResult]:
    """One result for every offer asked for, in that order. Raises where all were refused."""
    rows = values.mapping(answer).get("results")
    if not isinstance(rows, list) and values.mapping(answer).get("success") is False:
        raise_refusal(answers.refusal(values.mapping(answer), BULK_KEY), label)
    by_offer = {
        values.whole(values.mapping(row).get("ask_id")): values.mapping(row)
        for row in (rows if isinstance(rows, list) else ())
    }
    for offer_id in offer_ids:
        yield _bulk_result(offer_id, by_offer.get(offer_id), label)


def unknown(label: str, endpoint: str, reason: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"It is not known whether {endpoint} created an instance ({reason}); "
        f"look the label {label} up before trying again.",
        label=label,
        endpoint=endpoint,
    )


def _bulk_result(offer_id: int, row: Mapping[str, Any] | None, label: str) -> BulkResult:
    if not row:
        error = unknown(label, BULK_KEY, f"the answer does not tell of offer {offer_id}")
        return BulkResult(offer_id, None, False, error)
    made = values.whole(row.get("new_contract"))
    if made is None:
        told = row.get("success") is False and (row.get("error") or row.get("msg"))
        lacking = unknown(label, BULK_KEY, f"the answer names no instance for offer {offer_id}")
        return BulkResult(
            offer_id, None, False, answers.refusal(row, BULK_KEY) if told else lacking
        )
    if row.get("success") is False:
        stopped = CreatedStopped(
            f"Instance {made} of offer {offer_id} was created but stands still; destroy it.",
            made,
            endpoint=BULK_KEY,
        )
        return BulkResult(offer_id, made, False, stopped)
    return BulkResult(offer_id, made, True)


def _faults(request: LaunchRequest) -> Iterator[str]:
    env: object = request.env
    if not isinstance(env, Mapping):
        yield "env must be an object of texts; turn docker flags into one with parse_env(text)."
    elif any(not isinstance(each, str) for pair in env.items() for each in pair):
        yield "env must map texts to texts; write numbers and flags as text."
    if not (request.image or request.template_hash or request.template_id):
        yield "There is nothing to run: give an image or a template."
    if not 1 <= len(request.label.strip()) <= LONGEST_LABEL:
        yield f"The label must have 1 to {LONGEST_LABEL} characters: it finds the instance again."
    if len(request.onstart or "") > LONGEST_ONSTART:
        yield (
            f"onstart has {len(request.onstart or '')} characters of {LONGEST_ONSTART}; put the "
            "script into the image, or let onstart fetch it."
        )
    if not _is_amount(request.disk_gb):
        yield f"disk_gb is {request.disk_gb}; give a number above 0."
    if request.bid_usd_per_hour is not None and not _is_amount(request.bid_usd_per_hour):
        yield "bid_usd_per_hour must be above 0, or None to rent on demand."
    if isinstance(request.args, str):
        yield "args must be a list of words; split the text with shlex.split."


def _is_amount(value: float) -> bool:
    return not isinstance(value, bool) and math.isfinite(value) and value > 0
