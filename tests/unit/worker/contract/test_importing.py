"""What ``import`` means in a backend's source, and that it means nothing new anywhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from vast_pyworker.worker.contract.loading import SHIPPED, load_backend

PLAIN = "class Backend: pass\nflask_dict = {}\n"


def write(folder: Path, name: str, **files: str) -> Path:
    directory = folder / name
    directory.mkdir(parents=True, exist_ok=True)
    for stem, source in files.items():
        (directory / f"{stem}.py").write_text(textwrap.dedent(source))
    return directory


class TestImports:
    def test_the_names_of_2024_mean_the_compatible_modules(self, tmp_path):
        write(
            tmp_path,
            "mine",
            backend=PLAIN
            + "import auth, notify\n"
            + "from backend import GenericBackend\n"
            + "from logwatch import GenericLogWatch\n"
            + "from metrics import GenericMetrics\n"
            + "from utils import send_data\n",
        )
        module = load_backend("mine", [tmp_path]).module
        assert module.GenericBackend.__module__ == "vast_pyworker.compat.backend"
        assert module.GenericMetrics.__module__ == "vast_pyworker.compat.metrics"
        assert module.GenericLogWatch.__module__ == "vast_pyworker.compat.logwatch"
        assert module.send_data.__module__ == "vast_pyworker.compat.utils"
        assert module.auth.__name__ == "vast_pyworker.compat.auth"
        assert module.notify.__name__ == "vast_pyworker.compat.notify"

    def test_metrics_means_the_root_even_where_the_backend_has_its_own(self, tmp_path):
        write(
            tmp_path,
            "mine",
            backend="from mine.metrics import Metrics\n" + PLAIN,
            metrics="from metrics import GenericMetrics\nclass Metrics(GenericMetrics): pass",
        )
        loaded = load_backend("mine", [tmp_path])
        assert loaded.metrics_class is loaded.module.Metrics
        assert loaded.metrics_class.__mro__[1].__module__ == "vast_pyworker.compat.metrics"

    def test_a_module_of_the_backends_own_comes_before_a_shared_name(self, tmp_path):
        write(tmp_path, "mine", backend="import utils\n" + PLAIN, utils="OWN = True")
        assert load_backend("mine", [tmp_path]).module.utils.OWN

    def test_neighbours_are_importable_bare_relative_and_by_the_backends_name(self, tmp_path):
        source = """
            import sizes
            import mine.sizes
            import mine.sizes as named
            from mine import sizes as again
            from . import sizes as relative
            same = sizes is mine.sizes is named is again is relative
        """
        write(tmp_path, "mine", backend=textwrap.dedent(source) + PLAIN, sizes="SMALL = 1")
        assert load_backend("mine", [tmp_path]).module.same

    def test_a_sister_directory_is_importable(self, tmp_path):
        write(tmp_path, "sister", metrics="from metrics import GenericMetrics as Base")
        write(tmp_path, "mine", backend="from sister.metrics import Base\n" + PLAIN)
        module = load_backend("mine", [tmp_path]).module
        assert module.Base.__module__ == "vast_pyworker.compat.metrics"

    def test_an_import_inside_a_function_is_resolved_when_it_runs(self, tmp_path):
        source = "def late():\n    from mine.sizes import SMALL\n    return SMALL\n"
        write(tmp_path, "mine", backend=source + PLAIN, sizes="SMALL = 1")
        assert load_backend("mine", [tmp_path]).module.late() == 1

    def test_a_neighbour_does_not_hide_the_standard_library(self, tmp_path):
        source = "import json\ntext = json.dumps({})\n"
        write(tmp_path, "mine", backend=source + PLAIN, json="")
        assert load_backend("mine", [tmp_path]).module.text == "{}"

    def test_a_backend_named_like_an_installed_package_can_import_that_package(self, tmp_path):
        source = "import flask\nfrom flask.sizes import SMALL\n"
        write(tmp_path, "flask", backend=source + PLAIN, sizes="SMALL = 1")
        module = load_backend("flask", [tmp_path]).module
        assert module.flask.Flask
        assert module.SMALL == 1

    def test_two_backends_of_one_name_share_nothing(self, tmp_path):
        for number in ("1", "2"):
            source = f"from mine.sizes import SIZE\n{PLAIN}"
            write(tmp_path / number, "mine", backend=source, sizes=f"SIZE = {number}")
        first, second = (load_backend("mine", [tmp_path / number]) for number in ("1", "2"))
        assert (first.module.SIZE, second.module.SIZE) == (1, 2)

    def test_an_edit_shows_when_it_is_loaded_again(self, tmp_path):
        for number in (1, 2):
            write(tmp_path, "mine", backend=f"SIZE = {number}\n{PLAIN}")
            module = load_backend("mine", [tmp_path]).module
            assert number == module.SIZE

    def test_nobody_elses_imports_change(self, tmp_path):
        write(tmp_path, "mine", backend="import notify\nimport utils\n" + PLAIN)
        before = list(sys.path)
        load_backend("mine", [tmp_path])
        assert sys.path == before
        assert "notify" not in sys.modules
        with pytest.raises(ModuleNotFoundError):
            __import__("notify")

    def test_no_bytecode_is_left_in_the_backends_directory(self, tmp_path):
        directory = write(tmp_path, "mine", backend=PLAIN)
        load_backend("mine", [tmp_path])
        assert [path.name for path in directory.iterdir()] == ["backend.py"]


class TestDottedNames:
    """In a process of their own, because what is imported by its own name stays imported."""

    SHOW = (
        "from vast_pyworker.worker.contract.loading import load_backend;"
        "loaded = load_backend({name!r}, []);"
        "print(loaded.module.__name__, loaded.directory.name, loaded.module.FOUND)"
    )

    def shown(self, folder: Path, name: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", self.SHOW.format(name=name)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(SHIPPED.parent)},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.split()

    def test_a_package_with_a_backend_module(self, tmp_path):
        source = (
            "from backend import GenericBackend as Base\nimport sizes\n"
            "from tgi.metrics import Base as Same\nFOUND = Base.__name__ + Same.__name__\n"
        )
        write(tmp_path, "company", __init__="")
        write(
            tmp_path / "company",
            "tgi",
            __init__="",
            backend=source + PLAIN,
            sizes="",
            metrics="from metrics import GenericMetrics as Base",
        )
        expected = ["company.tgi.backend", "tgi", "GenericBackendGenericMetrics"]
        assert self.shown(tmp_path, "company.tgi") == expected
        assert self.shown(tmp_path, "company.tgi.backend") == expected

    def test_a_plain_module(self, tmp_path):
        source = "import notify\nFOUND = notify.__name__\n"
        write(tmp_path, "company", __init__="", hello=source + PLAIN)
        assert self.shown(tmp_path, "company.hello") == [
            "company.hello",
            "company",
            "vast_pyworker.compat.notify",
        ]

    def test_a_package_that_cannot_be_imported_is_a_fault_with_the_reason(self, tmp_path):
        write(tmp_path, "company", __init__="import no_such_package", tgi=PLAIN)
        with pytest.raises(subprocess.CalledProcessError) as failed:
            self.shown(tmp_path, "company.tgi")
        last = failed.value.stderr.splitlines()[-1]
        assert "BackendError: company.tgi cannot be imported: ModuleNotFoundError" in last
        assert "company/__init__.py:1" in last
