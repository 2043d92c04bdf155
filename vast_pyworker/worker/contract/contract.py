"""What a backend's modules must hold, each thing checked for its kind.

What is wrong is a BackendError: one sentence with the file and the missing thing. What is not
here: finding and importing those modules (``loading``), and attributes of the Backend object
(``declared``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from vast_pyworker.errors import BackendError

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Handler = Callable[[Any, Any], Any]
FlaskDict = Mapping[str, Mapping[str, Handler]]


def class_in(module: ModuleType, name: str) -> type:
    """The class ``name`` of ``module``."""
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise BackendError(f"{file_of(module)} has no class {name}; define it.")
    return found


def routes_in(module: ModuleType) -> FlaskDict:
    """The module's flask_dict, checked, without leading slashes."""
    routes = getattr(module, "flask_dict", None)
    if not isinstance(routes, Mapping):
        raise BackendError(
            f"{file_of(module)} has no flask_dict; add one: {{METHOD: {{endpoint: handler}}}}."
        )
    where = f"{file_of(module)}: flask_dict"
    for method, endpoints in routes.items():
        if method not in METHODS:
            raise BackendError(f"{where} has {method!r}, which is none of {', '.join(METHODS)}.")
        if not isinstance(endpoints, Mapping):
            raise BackendError(f"{where}[{method!r}] must map endpoints to handlers.")
    return {
        method: _endpoints(endpoints, f"{where}[{method!r}]")
        for method, endpoints in routes.items()
    }


def _endpoints(endpoints: Mapping[Any, Any], where: str) -> dict[str, Handler]:
    checked: dict[str, Handler] = {}
    for endpoint, handler in endpoints.items():
        if not isinstance(endpoint, str):
            raise BackendError(f"{where} has the endpoint {endpoint!r}; use a string.")
        if endpoint.lstrip("/") in checked:
            raise BackendError(f"{where} has {endpoint!r} twice; remove one.")
        if not takes_two(handler):
            raise BackendError(f"{where}[{endpoint!r}] must be a function of (backend, request).")
        checked[endpoint.lstrip("/")] = handler
    return checked


def takes_two(handler: Any) -> bool:
    """Whether ``handler(backend, request)`` is a call that Python would accept."""
    if not callable(handler):
        return False
    try:
        inspect.signature(handler).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature: give it the benefit of the doubt
        return True
    return True


def arguments_for(
    kind: type, given: Mapping[str, Any], where: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Those of ``given`` that the constructor of ``kind`` takes, by position and by keyword.

    One that takes only ``*args`` gets all, in their order. Raises BackendError, which names
    ``where``, if it demands anything else.
    """
    signature = inspect.signature(kind)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return (), dict(given)
    taken = {name: value for name, value in given.items() if name in signature.parameters}
    if not taken and inspect.Parameter.VAR_POSITIONAL in kinds:
        return tuple(given.values()), {}
    try:
        signature.bind(**taken)
    except TypeError as exc:
        raise BackendError(
            f"{where}: {kind.__name__} cannot be constructed: {exc}; "
            f"it is given {', '.join(given)}."
        ) from exc
    return (), taken


def file_of(module: ModuleType) -> str:
    """The file of ``module``, as its owner knows it."""
    return shown(Path(module.__file__ or module.__name__))


def shown(file: Path) -> str:
    """``file`` as its owner knows it: with the name of the folder that holds the backend."""
    return str(Path(*file.parts[-3:])) if len(file.parts) > 3 else str(file)
