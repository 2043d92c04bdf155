"""The shape of the code, read from its syntax trees: layers, roots, sizes, catches."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "vast_pyworker"

# The most specific prefix wins. A module imports its own layer and those below.
LAYERS = {
    "vast_pyworker": 2,
    "vast_pyworker.model": 1,
    "vast_pyworker.errors": 0,
    "vast_pyworker.wire": 1,
    "vast_pyworker.settings": 1,
    "vast_pyworker.settings_doc": 1,
    "vast_pyworker.signature": 1,
    "vast_pyworker.failure": 1,
    "vast_pyworker.ports": 1,
    "vast_pyworker.installers": 2,
    "vast_pyworker.packages": 2,
    "vast_pyworker.engine": 2,
    "vast_pyworker.worker": 2,
    "vast_pyworker.vastai": 2,
    "vast_pyworker.providers": 3,
    "vast_pyworker.controller": 3,
    "vast_pyworker.controller.policy": 1,
    "vast_pyworker.controller.planning": 1,
    "vast_pyworker.controller.desired": 2,
    "vast_pyworker.controller.ledger": 2,
    "vast_pyworker.controller.traffic": 2,
    "vast_pyworker.controller.main": 4,
    "vast_pyworker.market": 2,
    "vast_pyworker.market.app": 3,
    "vast_pyworker.market.main": 4,
    "vast_pyworker.up": 4,
    "vast_pyworker.compat": 3,
    "vast_pyworker.worker.app": 3,
    "vast_pyworker.worker.phases.lifecycle": 3,
    "vast_pyworker.worker.phases.model_life": 3,
    "vast_pyworker.worker.contract.trying": 3,
    "vast_pyworker.worker.contract.checking": 3,
    "vast_pyworker.worker.starting.doctor": 3,
    "vast_pyworker.worker.parts": 3,
    "vast_pyworker.worker.main": 4,
    "vast_pyworker.worker.gunicorn_conf": 4,
    "vast_pyworker.worker.dev": 4,
    "vast_pyworker.worker.start": 4,
    "vast_pyworker.boot": 4,
    "vast_pyworker.install": 4,
    "vast_pyworker.cli": 4,
}

# Rooms of which each knows only those before it, and the modules beside them.
IN_ORDER = {
    "vast_pyworker.market": (
        "refusal", "supply", "offers", "runtime", "rentals", "accounts", "world", "calls", "faults",
        "instances", "reports", "passing", "gate", "market", "api", "composing", "app", "main",
    ),
}  # fmt: skip

# Where the environment may be read, programs ended and work begun at import.
ROOTS = {
    "vast_pyworker.boot",
    "vast_pyworker.install",
    "vast_pyworker.cli.worker",
    "vast_pyworker.cli.connecting",
    "vast_pyworker.cli.controller_door",
    "vast_pyworker.cli.controlling",
    "vast_pyworker.vastai.environment",  # the functions of 2024 took no key
    "vast_pyworker.controller.main",
    "vast_pyworker.market.main",
    "vast_pyworker.up.main",
    "vast_pyworker.market.runtime.keeper",
    "vast_pyworker.worker.main",
    "vast_pyworker.worker.gunicorn_conf",
    "vast_pyworker.worker.start",
    "vast_pyworker.worker.dev",
    "vast_pyworker.worker.logwatch",  # its main, a filter in a pipe
    "vast_pyworker.compat.environment",  # classes of 2024 took no settings
}

# Imported by start_server.sh's first step, which has the standard library and nothing else.
BEFORE_INSTALLATION = {
    "vast_pyworker",
    "vast_pyworker.boot",
    "vast_pyworker.failure",
    "vast_pyworker.install",
    "vast_pyworker.installers",
    "vast_pyworker.settings",
    "vast_pyworker.packages",
}

STARTERS = {
    "open", "urlopen", "Thread", "Timer", "Popen", "socket", "create_connection", "create_server",
    "Process", "run", "check_call", "check_output", "system", "sleep", "input",
}  # fmt: skip
LONGEST_FUNCTION = 60
LONGEST_FILE = 400


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted((ROOT / PACKAGE).rglob("*.py"))
MODULES = {module_name(path): path for path in FILES}
BACKENDS = sorted((ROOT / "backends").rglob("*.py"))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def layer_of(module: str) -> int:
    while module not in LAYERS:
        module = module.rpartition(".")[0]
    return LAYERS[module]


def imports_of(path: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports; not those only for type checkers."""
    name = module_name(path)
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in walk_unguarded(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(up if node.level else []), *([node.module] if node.module else [])])
            whole = [f"{base}.{alias.name}" for alias in node.names]
            yield from (each if each in MODULES else base for each in whole)


def walk_unguarded(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under ``if TYPE_CHECKING``, which never run."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from walk_unguarded(child)


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs when the module is imported."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "__main__" in ast.unparse(child.test):
            continue
        yield child
        yield from at_import(child)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_imports_point_down() -> None:
    wrong = [
        f"{name} (layer {layer_of(name)}) imports {each} (layer {layer_of(each)})"
        for name, path in MODULES.items()
        for each in imports_of(path)
        if each.startswith(f"{PACKAGE}.") and layer_of(each) > layer_of(name)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("who", "whom"),
    [
        ("vast_pyworker.engine", "vast_pyworker.worker"),
        ("vast_pyworker.worker", "vast_pyworker.compat"),
        ("vast_pyworker.worker", "vast_pyworker.controller"),
        ("vast_pyworker.controller", "vast_pyworker.worker"),
        ("vast_pyworker", "backends"),
    ],
)
def test_rooms_that_must_not_know_each_other(who: str, whom: str) -> None:
    wrong = [
        f"{name} imports {each}"
        for name, path in MODULES.items()
        for each in imports_of(path)
        if within(name, who) and within(each, whom)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", IN_ORDER)
def test_rooms_know_only_those_before_them(package: str) -> None:
    def room(module: str) -> str:
        return module.removeprefix(f"{package}.").split(".")[0]

    order = IN_ORDER[package]
    inside = [name for name in MODULES if name.startswith(f"{package}.")]
    assert {room(name) for name in inside} == set(order)
    wrong = [
        f"{name} imports {each}"
        for name in inside
        for each in imports_of(MODULES[name])
        if within(each, package)
        if each == package or order.index(room(each)) > order.index(room(name))
    ]
    assert wrong == []


def test_what_runs_before_anything_is_installed_needs_nothing() -> None:
    bare = [name for name in MODULES if layer_of(name) == 0 or name in BEFORE_INSTALLATION]
    ours = BEFORE_INSTALLATION | {name for name in MODULES if layer_of(name) == 0}
    wrong = [
        f"{name} imports {each}"
        for name in bare
        for each in imports_of(MODULES[name])
        if each.split(".")[0] not in sys.stdlib_module_names and each not in ours
    ]
    assert wrong == []


def test_backends_know_the_worker_and_the_lowest_layers_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {each}"
        for path in BACKENDS
        for each in imports_of(path)
        if within(each, PACKAGE)
        and layer_of(each) > 1
        and not (within(each, f"{PACKAGE}.worker") and layer_of(each) == 2)
    ]
    assert wrong == []


def test_only_composition_roots_read_the_environment() -> None:
    wrong = [
        place(path, node)
        for name, path in MODULES.items()
        for node in ast.walk(tree_of(path))
        if name not in ROOTS
        and (called(node) == "getenv" or ast.unparse(node) in ("os.environ", "os.environb"))
        and isinstance(node, ast.Attribute | ast.Call)
    ]
    assert wrong == []


def test_nothing_is_started_by_an_import() -> None:
    wrong = [
        f"{place(path, node)} {called(node)}"
        for path in (*FILES, *BACKENDS)
        for node in at_import(tree_of(path))
        if called(node) in STARTERS or ast.unparse(node).startswith(("requests.", "os.environ["))
    ]
    assert wrong == []


def test_functions_and_files_stay_short() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {count} lines, split it by responsibility"
        for path in (*FILES, *BACKENDS)
        if (count := path.read_text().count("\n")) > LONGEST_FILE
    ]
    wrong += [
        f"{place(path, node)} {node.name}: {length} lines"
        for path in (*FILES, *BACKENDS)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert wrong == []


def test_a_broad_catch_says_why_or_raises_again() -> None:
    wrong = [
        place(path, node)
        for path in (*FILES, *BACKENDS)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and is_broad(node)
        if not raises_again(node) and not explained(path.read_text().splitlines(), node)
    ]
    assert wrong == []


def test_a_module_opens_with_what_it_is_for() -> None:
    assert [str(path) for path in FILES if not ast.get_docstring(tree_of(path))] == []


def test_no_name_is_empty() -> None:
    empty = ("Manager", "Helper", "Utils", "Unified", "V2", "Mixin")
    wrong = [
        f"{place(path, node)} {node.name}"
        for path in (*FILES, *BACKENDS)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith(empty)
    ]
    assert wrong == []


def is_broad(node: ast.ExceptHandler) -> bool:
    caught = ast.unparse(node.type) if node.type else "BaseException"
    return bool({"Exception", "BaseException"} & set(caught.strip("()").split(", ")))


def raises_again(node: ast.ExceptHandler) -> bool:
    last = node.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def explained(lines: list[str], node: ast.ExceptHandler) -> bool:
    """Whether a comment stands just above the handler, on it, or at its beginning."""
    return any("#" in line for line in lines[max(0, node.lineno - 2) : node.body[0].lineno])
