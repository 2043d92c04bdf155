"""Finds a backend by name, imports it, checks it against the contract, constructs it.

A backend is a directory with a ``backend.py`` that holds a class ``Backend`` and a ``flask_dict``;
``metrics.py``, ``logwatch.py`` and ``benchmark.py`` are optional. Whatever is wrong becomes one
sentence that names the file and the missing thing (``contract``). Does not: read the environment,
call a hook or a handler, or touch the network; a backend's own module level and constructor may.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from vast_pyworker.errors import BackendError, UnknownBackend

from .contract import FlaskDict, Handler, arguments_for, class_in, file_of, routes_in, shown
from .importing import settle_folder, settle_package

__all__ = [
    "SHIPPED",
    "FlaskDict",
    "Handler",
    "Loaded",
    "available",
    "construct",
    "describe",
    "folders",
    "load_backend",
]

SHIPPED = Path(__file__).resolve().parents[3] / "backends"
REPORTING = frozenset({"notify", "metrics", "utils"})


@dataclass(frozen=True)
class Loaded:
    """A backend that keeps the contract, not yet constructed.

    ``flask_dict`` maps method to endpoint (without a leading slash) to handler. What the directory
    lacks is None. ``reports_itself``: it has the means of 2024 to tell the autoscaler about itself.
    """

    name: str
    directory: Path
    module: ModuleType
    backend_class: type
    flask_dict: FlaskDict
    metrics_class: type | None = None
    logwatch_class: type | None = None
    benchmark_module: ModuleType | None = None
    reports_itself: bool = False


def folders(joined: str) -> tuple[Path, ...]:
    """The folders in a ``PYWORKER_BACKENDS`` value, in order."""
    return tuple(Path(part).expanduser() for part in joined.split(os.pathsep) if part)


def available(search_path: Sequence[Path]) -> list[str]:
    """Names of the backends in ``search_path`` and of the shipped ones, sorted."""
    found = (path.parent for f in (*search_path, SHIPPED) for path in f.glob("*/backend.py"))
    return sorted({directory.name for directory in found})


def load_backend(name: str, search_path: Sequence[Path]) -> Loaded:
    """Import the backend ``name`` from ``search_path``, then the shipped ones, then by dotted name.

    Raises UnknownBackend, which lists those there are, or BackendError.
    """
    directory = _find_directory(name, search_path)
    if directory is not None:
        home = settle_folder(directory.parent)
        package, stem = f"{home.prefix}.{directory.name}", "backend"
    else:
        directory, package, stem = _find_module(name, search_path)
        home = settle_package(package, directory)
    file = directory / f"{stem}.py"
    module = _import(f"{package}.{stem}", file)
    loaded = Loaded(name, directory, module, class_in(module, "Backend"), routes_in(module))
    if stem == "backend":
        loaded = _with_extras(loaded, package)
    return replace(loaded, reports_itself=bool(REPORTING & home.asked_for))


def construct(
    loaded: Loaded,
    *,
    container_id: Any,
    control_server_url: str,
    master_token: str | None,
    send_data: bool,
) -> Any:
    """The one Backend object. It is given those of the four keywords that its class takes.

    Raises BackendError if the class demands anything else or its constructor raises.
    """
    given = {
        "container_id": container_id,
        "control_server_url": control_server_url,
        "master_token": master_token,
        "send_data": send_data,
    }
    where = file_of(loaded.module)
    args, kwargs = arguments_for(loaded.backend_class, given, where)
    try:
        return loaded.backend_class(*args, **kwargs)
    except Exception as exc:  # a constructor is foreign code: whatever it raises is its fault
        cause = describe(exc, loaded.directory)
        raise BackendError(
            f"{where}: Backend could not be constructed: {cause}. Correct its __init__."
        ) from exc


def describe(exc: BaseException, directory: Path) -> str:
    """The last line of a traceback and the place in ``directory`` that it comes from."""
    last = traceback.format_exception_only(type(exc), exc)[-1].strip().rstrip(".")
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"{last} ({shown(Path(exc.filename))}:{exc.lineno})"
    frames = traceback.extract_tb(exc.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(directory)]
    return f"{last} ({shown(Path(own[-1].filename))}:{own[-1].lineno})" if own else last


def _find_directory(name: str, search_path: Sequence[Path]) -> Path | None:
    if not name or name != Path(name).name or name in (".", ".."):
        return None
    places = (folder / name for folder in (*search_path, SHIPPED))
    found = next((place for place in places if (place / "backend.py").is_file()), None)
    return found.resolve() if found else None


def _find_module(name: str, search_path: Sequence[Path]) -> tuple[Path, str, str]:
    """Directory, package and last name of the module that a dotted ``name`` means."""
    if "." in name and all(part.isidentifier() for part in name.split(".")):
        for candidate in (name, f"{name}.backend"):  # a module, or one in a package
            origin = _origin(candidate)
            if origin is not None:
                package, _, stem = candidate.rpartition(".")
                return origin.parent, package, stem
    raise UnknownBackend(_unknown(name, search_path))


def _origin(dotted: str) -> Path | None:
    """The file of the plain module ``dotted``; None where there is none."""
    try:
        spec = importlib.util.find_spec(dotted)  # imports its parents
    except Exception as exc:  # those are foreign code: anything may happen
        if isinstance(exc, ModuleNotFoundError) and exc.name and f"{dotted}.".startswith(exc.name):
            return None
        cause = describe(exc, Path.cwd())
        raise BackendError(f"{dotted} cannot be imported: {cause}. Correct it.") from exc
    if spec is None or spec.origin is None or spec.submodule_search_locations is not None:
        return None
    return Path(spec.origin).resolve()


def _unknown(name: str, search_path: Sequence[Path]) -> str:
    missing = [str(folder) for folder in search_path if not folder.is_dir()]
    gone = f" {' and '.join(missing)} in PYWORKER_BACKENDS is not a folder." if missing else ""
    names = ", ".join(available(search_path)) or "none"
    return f"There is no backend {name!r}; there are: {names}.{gone}"


def _import(dotted: str, file: Path) -> ModuleType:
    try:
        return importlib.import_module(dotted)
    except (Exception, SystemExit) as exc:  # module level is foreign code: anything may happen
        remedy = "Correct it."
        if isinstance(exc, ModuleNotFoundError):
            remedy = "Install it in the worker's environment, or correct the import."
        cause = describe(exc, file.parent)
        raise BackendError(f"{shown(file)} cannot be imported: {cause}. {remedy}") from exc


def _optional(package: str, directory: Path, stem: str) -> ModuleType | None:
    file = directory / f"{stem}.py"
    return _import(f"{package}.{stem}", file) if file.is_file() else None


def _with_extras(loaded: Loaded, package: str) -> Loaded:
    directory = loaded.directory
    metrics = _optional(package, directory, "metrics")
    logwatch = _optional(package, directory, "logwatch")
    return replace(
        loaded,
        metrics_class=getattr(metrics, "Metrics", None),  # it may hold what backend.py imports
        logwatch_class=class_in(logwatch, "LogWatch") if logwatch else None,
        benchmark_module=_optional(package, directory, "benchmark"),
    )
