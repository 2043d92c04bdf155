"""Writes a new backend directory from a template: something that runs, to change from there.

``plain`` answers by itself; ``forward`` passes requests on to a model server of its own kind;
``openai`` to one that speaks OpenAI's API. Never overwrites anything.
"""

from __future__ import annotations

import re
from pathlib import Path

from vast_pyworker.errors import BackendError

START = "https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh"

PLAIN = '''\
"""{title}: says what it does and what it does not.

``POST /greet`` with ``{{"name": "Ada"}}`` greets, ``GET /greeted`` counts.
"""

import threading


class Backend:
    """All state that outlives a request. The worker makes one and hands it to every handler."""

    def __init__(self, *args, **kwargs):
        self.greeted = 0
        self.lock = threading.Lock()  # handlers run in threads, several at once


def greet(backend, request):
    """Greet ``name``, or the world."""
    with backend.lock:
        backend.greeted += 1
    return {{"greeting": f"Hello, {{request.json.get('name', 'world')}}"}}


def greeted(backend, request):
    """How many were greeted."""
    return {{"greeted": backend.greeted}}


flask_dict = {{
    "POST": {{"greet": greet}},
    "GET": {{"greeted": greeted}},
}}
'''

FORWARD = '''\
"""{title}: passes requests on to the model server that runs beside the worker."""

from vast_pyworker.worker import ModelBackend, Pattern, forward, tokens


class Backend(ModelBackend):
    """Where the model server is, and how to tell what it is doing."""

    model_server = "http://127.0.0.1:5001"
    model_log = "/tmp/{name}.log"  # launch.sh writes it
    readiness = "probe"  # or "log+probe": wait for a line of the log as well
    health_path = "/health"
    log_patterns = (
        Pattern("loading", r"[Ll]oading model"),
        Pattern("loaded", r"[Ll]istening on|startup complete"),
        Pattern("error", r"[Oo]ut of memory"),
    )
    concurrency = 8  # requests that the model works on at once; more wait here


flask_dict = {{
    # `workload` says how much work a payload is: tokens here, pixels or seconds elsewhere.
    "POST": {{"generate": forward("/generate", workload=tokens)}},
    "GET": {{"info": forward("/info", method="GET", signed=False)}},
}}
'''

OPENAI = '''\
"""{title}: a model server that speaks OpenAI's API, behind the worker."""

from vast_pyworker.worker import OpenAIBackend, Pattern, openai_routes


class Backend(OpenAIBackend):
    """Where the model server is, and how to tell what it is doing."""

    model_server = "http://127.0.0.1:8000"
    model_log = "/tmp/{name}.log"  # launch.sh writes it
    readiness = "probe"  # or "log+probe": wait for a line of the log as well
    health_path = "/health"
    log_patterns = (
        Pattern("loaded", r"Application startup complete"),
        Pattern("error", r"[Oo]ut of memory"),
    )
    concurrency = 32  # requests that the model works on at once; more wait here


# Chat, completions, responses, embeddings and the list of models, counted in tokens.
flask_dict = openai_routes()
'''

LAUNCH = """\
#!/bin/bash
# Starts the worker with this backend, then what it speaks to.
set -eu

start_server() {{
    if [ ! -d "$1" ]
    then
        wget -O - {start} | bash -s "$2"
    else
        "$1/start_server.sh" "$2"
    fi
}}

start_server "${{WORKSPACE_DIR:-/home/workspace}}/vast-pyworker" {name}
{model}"""

_MODEL = """
# The worker answers by now and waits for the model server. Start that here, for example:
# my-model-server --port {port} >> /tmp/{name}.log 2>&1 &
"""

README = """\
# {name}

What this backend serves, in one sentence.

| file | what |
|---|---|
| `backend.py` | the routes, and how the model server is spoken to |
| `launch.sh` | what a Vast.ai template runs when an instance starts |

Try it: `vast-pyworker check {name}`, then `vast-pyworker dev {name}`.
"""

TEMPLATES = {"plain": PLAIN, "forward": FORWARD, "openai": OPENAI}
PORTS = {"forward": 5001, "openai": 8000}


def write_backend(name: str, template: str, folder: Path) -> list[Path]:
    """Write ``folder/name`` and return its files; raises BackendError where that cannot be."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise BackendError(
            f"{name!r} cannot name a backend: use letters, digits, - and _, a letter first."
        )
    directory = folder / name
    try:
        directory.mkdir(parents=True)
        return [_write(directory / file, text) for file, text in _files(name, template).items()]
    except FileExistsError as exc:
        raise BackendError(f"{directory} exists; choose another name or remove it.") from exc
    except OSError as exc:
        raise BackendError(
            f"{directory} cannot be written ({exc.strerror}); choose another --directory."
        ) from exc


def _files(name: str, template: str) -> dict[str, str]:
    port = PORTS.get(template)
    model = _MODEL.format(name=name, port=port) if port else ""
    title = re.sub(r"[_-]+", " ", name).capitalize()
    return {
        "backend.py": TEMPLATES[template].format(name=name, title=title),
        "launch.sh": LAUNCH.format(name=name, model=model, start=START),
        "README.md": README.format(name=name),
    }


def _write(file: Path, text: str) -> Path:
    file.write_text(text, "utf-8")
    if file.suffix == ".sh":
        file.chmod(0o755)
    return file
