"""Imports as a backend's source expects them, without touching anybody else's.

In 2024 one folder was the root of everything: ``backend``, ``metrics`` and ``notify`` lay in it,
and each backend was a directory beside them. So ``from backend import GenericBackend``,
``import notify`` and ``from tgi.metrics import Metrics`` must keep their meaning in the modules
of a backend, and there only.

Does: load those modules under names of their own and resolve the absolute imports in their
source. Does not: change ``sys.path``, or claim a bare name such as ``utils`` in ``sys.modules``,
where another library may mean something else by it. ``importlib.import_module("notify")`` is an
ordinary import and is not resolved here.
"""

from __future__ import annotations

import builtins
import importlib
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

COMPAT = "vast_pyworker.compat"
ROOT = "vast_pyworker_backends"

# A backend's own files bear the first three names, yet importing them bare meant the root's.
ROOT_NAMES = frozenset({"backend", "metrics", "logwatch"})
SHARED_NAMES = frozenset({"notify", "utils", "auth", "test_model"})

_serial = itertools.count(1)


@dataclass(frozen=True)
class Home:
    """A family of modules that are loaded here.

    ``prefix`` is the package that all their names begin with. ``folder`` holds the directories of
    several backends, which may import each other by bare name; None: they do not. ``asked_for``
    gathers the names of 2024 that have been imported.
    """

    prefix: str
    folder: Path | None
    asked_for: set[str] = field(default_factory=set)


class _Imports:
    """What ``import`` does in one module: ``package`` is its package, ``directory`` its place."""

    def __init__(self, home: Home, package: str, directory: Path) -> None:
        self._home = home
        self._package = package
        self._directory = directory

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        full = self._full_name(name, fromlist or ()) if level == 0 else None
        if full is None:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        importlib.import_module(full)
        if fromlist:
            return builtins.__import__(full, globals, locals, fromlist, 0)
        return sys.modules[full.rsplit(".", name.count("."))[0]]  # `import a.b` binds a

    def _full_name(self, name: str, wanted: Sequence[str]) -> str | None:
        """The name that ``name`` is loaded under; None: it is nobody's business here."""
        if name in ROOT_NAMES:
            return self._compat(name)
        if name.partition(".")[0] in sys.stdlib_module_names:
            return None
        if _exists(self._directory, name):
            return f"{self._package}.{name}"
        if name in SHARED_NAMES:
            return self._compat(name)
        inside = (name, *(f"{name}.{each}" for each in wanted))
        folder = self._home.folder
        if folder is not None and any(_exists(folder, each) for each in inside):
            return f"{self._home.prefix}.{name}"
        return None

    def _compat(self, name: str) -> str:
        self._home.asked_for.add(name)
        return f"{COMPAT}.{name}"


def _exists(base: Path, dotted: str) -> bool:
    path = base.joinpath(*dotted.split("."))
    return path.with_name(f"{path.name}.py").is_file() or (path / "__init__.py").is_file()


class _Loader(SourceFileLoader):
    """Runs a module with an ``import`` of its own."""

    def __init__(self, fullname: str, path: str, imports: _Imports) -> None:
        super().__init__(fullname, path)
        self._imports = imports

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._imports}
        super().exec_module(module)

    def set_data(self, path: str, data: Any, *, _mode: int = 0) -> None:
        """Write no bytecode: a backend's directory is not ours, and edits show at once."""


class _Finder(MetaPathFinder):
    """Finds the modules of every home, and nothing else."""

    def __init__(self) -> None:
        self.homes: dict[str, Home] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        home = self._home_of(fullname)
        if home is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin and type(spec.loader) is SourceFileLoader:
            package = spec.parent or ""
            imports = _Imports(home, package, Path(spec.origin).parent)
            spec.loader = _Loader(fullname, spec.origin, imports)
        return spec

    def _home_of(self, fullname: str) -> Home | None:
        parent = fullname.rpartition(".")[0]
        while parent and parent not in self.homes:
            parent = parent.rpartition(".")[0]
        return self.homes.get(parent)


_finder = _Finder()


def settle_folder(folder: Path) -> Home:
    """Make the directories in ``folder`` importable under a prefix that nothing else has.

    Every call gives a new prefix, so that the same backend can be loaded twice without the two
    sharing state.
    """
    home = Home(f"{ROOT}.n{next(_serial)}", folder)
    _place_package(ROOT, [])
    _place_package(home.prefix, [str(folder)])
    _register(home)
    return home


def settle_package(package: str, directory: Path) -> Home:
    """Resolve imports for the modules of an installed ``package``, under the names they have.

    Its sisters in the same parent package take the place of the other directories.
    """
    parent = package.rpartition(".")[0]
    home = Home(parent, directory.parent) if parent else Home(package, None)
    _register(home)
    return home


def _place_package(name: str, path: list[str]) -> None:
    module = sys.modules.setdefault(name, ModuleType(name))
    module.__path__ = path


def _register(home: Home) -> None:
    importlib.invalidate_caches()
    _finder.homes[home.prefix] = home
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
