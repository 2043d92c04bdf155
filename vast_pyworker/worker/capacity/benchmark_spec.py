"""How a backend wants its capacity measured, read from what it declares.

Payloads come from the operator's file, else from the backend's ``benchmark.py``, else from its
``benchmark_payload()``. What an answer is worth is told by the same calculators as in production.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vast_pyworker.errors import SettingError
from vast_pyworker.settings import Settings
from vast_pyworker.worker.contract.declared import Declared
from vast_pyworker.worker.units.work import Work

from .benchmark import BenchmarkSpec, read_payloads

MOST_CONCURRENCY = 8

Payloads = tuple[Mapping[str, Any], ...]


def benchmark_spec_from(
    told: Declared, settings: Settings, server_url: str, module: Any
) -> BenchmarkSpec | None:
    """What to measure; None where the backend does not say where to, or with what.

    ``module`` is the backend's ``benchmark.py`` or None. Raises BackendError or SettingError.
    """
    url = told.page(server_url, told.text("benchmark_route"))
    if url is None:
        if settings.benchmark_file:
            raise SettingError(
                "BENCHMARK_PAYLOADS is set, but the backend has no benchmark_route to send them "
                "to: add one, or unset it."
            )
        return None
    runs, concurrency = max(settings.benchmark_runs, 1), _concurrency(told, settings)
    payloads = _payloads(told, settings, module, runs * concurrency)
    if payloads is None:
        return None
    work = Work(None, told.backend, has_payload=True)
    return BenchmarkSpec(
        url=url,
        payloads=payloads,
        workload=work.before,
        settle=work.after,
        concurrency=concurrency,
        runs=runs,
        unit=told.text("unit") or "requests",
    )


def _payloads(told: Declared, settings: Settings, module: Any, count: int) -> Payloads | None:
    if settings.benchmark_file:
        return read_payloads(Path(settings.benchmark_file).expanduser())
    many = getattr(module, "payloads", None)
    one = told.hook("benchmark_payload")
    if callable(many):
        return tuple(_checked(told, "payloads()", p) for p in told.answer("payloads()", many))
    if one is None:
        return None
    answers = (told.answer("benchmark_payload()", one) for _ in range(count))
    return tuple(_checked(told, "benchmark_payload()", answer) for answer in answers)


def _checked(told: Declared, name: str, payload: Any) -> Mapping[str, Any]:
    if not isinstance(payload, Mapping):
        raise told.wrong(f"{name} must give JSON objects, not {payload!r}.")
    return payload


def _concurrency(told: Declared, settings: Settings) -> int:
    """As the setting or the backend says, else as many as the model works on at once, at most 8."""
    asked = settings.benchmark_concurrency or told.number("benchmark_concurrency")
    places = settings.model_concurrency or told.number("concurrency") or 1
    return max(int(asked or min(places, MOST_CONCURRENCY)), 1)
