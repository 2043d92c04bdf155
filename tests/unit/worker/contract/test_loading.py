"""Backends are found by name, imported apart from each other, and explained when they are wrong."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from vast_pyworker.errors import BackendError, UnknownBackend
from vast_pyworker.worker.contract.loading import (
    SHIPPED,
    available,
    construct,
    folders,
    load_backend,
)

ROUTES = "def read(backend, request):\n    return 'read'\nflask_dict = {'GET': {'read': read}}\n"
PLAIN = "class Backend:\n    pass\n" + ROUTES


def write(folder: Path, name: str, **files: str) -> Path:
    directory = folder / name
    directory.mkdir(parents=True, exist_ok=True)
    for stem, source in files.items():
        (directory / f"{stem}.py").write_text(textwrap.dedent(source))
    return directory


def fault(folder: Path, source: str, **files: str) -> str:
    write(folder, "mine", backend=source, **files)
    with pytest.raises(BackendError) as caught:
        load_backend("mine", [folder])
    return str(caught.value)


def built(folder: Path, source: str) -> object:
    write(folder, "mine", backend=source + "\n" + ROUTES)
    return construct(
        load_backend("mine", [folder]),
        container_id=7,
        control_server_url="http://autoscaler",
        master_token="secret",
        send_data=False,
    )


class TestFinding:
    def test_a_directory_in_the_search_path_is_loaded(self, tmp_path):
        directory = write(tmp_path, "mine", backend=PLAIN)
        loaded = load_backend("mine", [tmp_path])
        assert loaded.name == "mine"
        assert loaded.directory == directory
        assert loaded.backend_class.__name__ == "Backend"
        assert loaded.flask_dict["GET"]["read"](None, None) == "read"

    def test_a_shipped_backend_needs_no_search_path(self):
        assert load_backend("helloworld", []).directory == SHIPPED / "helloworld"

    def test_a_folder_of_ones_own_comes_before_the_shipped_one(self, tmp_path):
        directory = write(tmp_path, "helloworld", backend=PLAIN)
        assert load_backend("helloworld", [tmp_path]).directory == directory

    def test_folders_are_split_at_colons_and_empty_ones_dropped(self):
        assert folders("/a:/b::") == (Path("/a"), Path("/b"))

    def test_available_lists_each_name_once(self, tmp_path):
        write(tmp_path, "helloworld", backend=PLAIN)
        write(tmp_path, "mine", backend=PLAIN)
        (tmp_path / "notes").mkdir()
        names = available([tmp_path])
        assert names.count("helloworld") == 1
        assert "mine" in names
        assert "notes" not in names

    def test_an_unknown_name_lists_those_there_are(self, tmp_path):
        write(tmp_path, "mine", backend=PLAIN)
        with pytest.raises(UnknownBackend, match=r"no backend 'mien'; there are: .*mine"):
            load_backend("mien", [tmp_path])

    def test_a_folder_that_does_not_exist_is_named(self, tmp_path):
        with pytest.raises(UnknownBackend, match=r"gone in PYWORKER_BACKENDS is not a folder"):
            load_backend("mine", [tmp_path / "gone"])

    @pytest.mark.parametrize("name", ["", "..", ".", "../mine", "a/b", "no.such.module", "a..b"])
    def test_a_name_that_is_no_name_is_unknown(self, name, tmp_path):
        with pytest.raises(UnknownBackend):
            load_backend(name, [tmp_path])


class TestOptionalModules:
    def test_what_a_directory_lacks_is_none(self, tmp_path):
        write(tmp_path, "mine", backend=PLAIN)
        loaded = load_backend("mine", [tmp_path])
        assert loaded.metrics_class is loaded.logwatch_class is loaded.benchmark_module is None

    def test_what_it_has_is_found(self, tmp_path):
        write(
            tmp_path,
            "mine",
            backend=PLAIN,
            metrics="class Metrics: pass",
            logwatch="class LogWatch: pass",
            benchmark="def payloads(): return []",
        )
        loaded = load_backend("mine", [tmp_path])
        assert loaded.metrics_class.__name__ == "Metrics"
        assert loaded.logwatch_class.__name__ == "LogWatch"
        assert loaded.benchmark_module.payloads() == []

    def test_metrics_may_hold_something_else(self, tmp_path):
        write(tmp_path, "mine", backend=PLAIN, metrics="RATE = 3")
        assert load_backend("mine", [tmp_path]).metrics_class is None

    def test_a_log_watch_without_its_class_is_a_fault(self, tmp_path):
        said = fault(tmp_path, PLAIN, logwatch="pattern = 'x'")
        assert said.endswith("mine/logwatch.py has no class LogWatch; define it.")


class TestReportsItself:
    @pytest.mark.parametrize(
        "source", ["import notify", "from metrics import GenericMetrics", "import utils"]
    )
    def test_a_backend_that_imports_the_means_of_2024(self, source, tmp_path):
        write(tmp_path, "mine", backend=PLAIN, metrics=source)
        assert load_backend("mine", [tmp_path]).reports_itself

    @pytest.mark.parametrize("source", ["", "from backend import GenericBackend", "import auth"])
    def test_any_other_leaves_it_to_the_worker(self, source, tmp_path):
        write(tmp_path, "mine", backend=f"{source}\n{PLAIN}")
        assert not load_backend("mine", [tmp_path]).reports_itself


class TestFaults:
    def test_no_class(self, tmp_path):
        assert fault(tmp_path, ROUTES).endswith("mine/backend.py has no class Backend; define it.")

    def test_no_routes(self, tmp_path):
        assert "mine/backend.py has no flask_dict" in fault(tmp_path, "class Backend: pass")

    def test_a_method_that_is_not_http(self, tmp_path):
        said = fault(tmp_path, PLAIN + "flask_dict['FETCH'] = {}\n")
        assert "flask_dict has 'FETCH', which is none of GET" in said

    def test_a_method_in_lower_case(self, tmp_path):
        assert "has 'post'" in fault(tmp_path, PLAIN + "flask_dict['post'] = {}\n")

    def test_endpoints_that_are_no_mapping(self, tmp_path):
        said = fault(tmp_path, PLAIN + "flask_dict['POST'] = [read]\n")
        assert "flask_dict['POST'] must map endpoints to handlers" in said

    @pytest.mark.parametrize("handler", ["None", "'read'", "lambda: 1", "lambda a: 1"])
    def test_a_handler_that_cannot_take_two_arguments(self, handler, tmp_path):
        said = fault(tmp_path, PLAIN + f"flask_dict['POST'] = {{'write': {handler}}}\n")
        assert "flask_dict['POST']['write'] must be a function of (backend, request)" in said

    def test_the_same_endpoint_twice(self, tmp_path):
        said = fault(tmp_path, PLAIN + "flask_dict['GET']['/read'] = read\n")
        assert "has '/read' twice" in said

    def test_an_import_that_fails_names_the_error_and_the_line(self, tmp_path):
        said = fault(tmp_path, "import json\n\nlimit = undefined\n" + PLAIN)
        assert "mine/backend.py cannot be imported: NameError" in said
        assert "mine/backend.py:3" in said
        assert "\n" not in said

    def test_an_import_that_fails_in_a_neighbour_names_the_neighbour(self, tmp_path):
        said = fault(tmp_path, "from mine.sizes import SMALL\n" + PLAIN, sizes="SMALL = 1 / 0\n")
        assert "ZeroDivisionError" in said
        assert "mine/sizes.py:1" in said

    def test_a_package_that_is_not_installed_has_its_own_remedy(self, tmp_path):
        said = fault(tmp_path, "import no_such_package\n" + PLAIN)
        assert "No module named 'no_such_package'" in said
        assert "Install it" in said

    def test_a_syntax_error_names_the_line(self, tmp_path):
        assert "mine/backend.py:2" in fault(tmp_path, "x = 1\ndef (\n")

    def test_an_exit_at_import_is_a_fault(self, tmp_path):
        assert "SystemExit" in fault(tmp_path, "import sys\nsys.exit(3)\n")


class TestConstructing:
    def test_the_four_keywords_arrive(self, tmp_path):
        backend = built(
            tmp_path,
            "class Backend:\n"
            "    def __init__(self, container_id, control_server_url, master_token, send_data):\n"
            "        self.got = (container_id, control_server_url, master_token, send_data)\n",
        )
        assert backend.got == (7, "http://autoscaler", "secret", False)

    def test_keywords_beyond_those_it_names_are_kept_from_it(self, tmp_path):
        backend = built(
            tmp_path,
            "class Backend:\n    def __init__(self, container_id): self.id = container_id\n",
        )
        assert backend.id == 7

    def test_a_class_that_takes_anything_gets_keywords(self, tmp_path):
        backend = built(
            tmp_path,
            "class Backend:\n    def __init__(self, *args, **kwargs):\n        self.got = kwargs\n",
        )
        assert sorted(backend.got) == [
            "container_id",
            "control_server_url",
            "master_token",
            "send_data",
        ]

    def test_a_class_that_takes_positions_gets_them_in_the_guides_order(self, tmp_path):
        backend = built(
            tmp_path,
            "class Backend:\n    def __init__(self, *args):\n        self.got = args\n",
        )
        assert backend.got == (7, "http://autoscaler", "secret", False)

    def test_a_class_without_a_constructor_gets_nothing(self, tmp_path):
        assert type(built(tmp_path, "class Backend:\n    pass\n")).__name__ == "Backend"

    def test_a_class_that_demands_more_is_a_fault(self, tmp_path):
        with pytest.raises(BackendError, match=r"missing a required argument: 'model'"):
            built(tmp_path, "class Backend:\n    def __init__(self, model):\n        pass\n")

    def test_a_constructor_that_raises_is_a_fault_with_its_line(self, tmp_path):
        source = "class Backend:\n    def __init__(self):\n        raise OSError('no disk')\n"
        with pytest.raises(BackendError, match=r"OSError: no disk \(.*mine/backend.py:3\)"):
            built(tmp_path, source)
