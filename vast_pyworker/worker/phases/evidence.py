"""What has been seen of a model that is loading, and what is still missing. Pure."""

from __future__ import annotations

from vast_pyworker.worker.modelserver.probe import ProbeResult

_NAMES = {"log": "the loaded line in its log", "probe": "its health check", "port": "its port"}


class Evidence:
    """Loaded is when everything in ``required`` is seen: of ``log``, ``probe``, ``port``.

    A line in a log stays seen; what a probe saw holds until the next probe.
    """

    def __init__(self, required: frozenset[str]) -> None:
        self.required = required
        self._seen: set[str] = set()
        self._detail = ""

    @property
    def complete(self) -> bool:
        return self.required <= self._seen

    @property
    def wants_probe(self) -> bool:
        """Whether asking now could help: while the log is silent, it could not."""
        return bool(self.required - self._seen - {"log"}) and "log" not in self.missing

    @property
    def missing(self) -> frozenset[str]:
        return self.required - self._seen

    def see_log(self) -> None:
        self._seen.add("log")

    def see_probe(self, result: ProbeResult) -> None:
        """A timeout leaves open whether the port is."""
        self._set("probe", result.ok)
        if result.port_open is not None:
            self._set("port", result.port_open)
        self._detail = "" if result.ok else result.detail

    def require_log(self) -> None:
        """Somebody outside watches the log, and says that the model is loading: wait for more."""
        self.required |= {"log"}
        self._seen.discard("log")

    def clear(self) -> None:
        """Another process, another life: nothing of it has been seen."""
        self._seen.clear()
        self._detail = ""

    def __str__(self) -> str:
        """What is waited for, as a phrase."""
        wanted = " and ".join(_NAMES[name] for name in sorted(self.missing))
        return f"{wanted} ({self._detail})" if self._detail and self.wants_probe else wanted

    def _set(self, name: str, seen: bool) -> None:
        if seen:
            self._seen.add(name)
        else:
            self._seen.discard(name)
