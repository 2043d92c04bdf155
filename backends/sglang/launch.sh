#!/bin/bash
# Starts the worker with this backend; the worker starts SGLang, where it is installed.

# An image that starts SGLang itself names its model in SGLANG_MODEL: then one is enough.
if [ -n "${SGLANG_MODEL:-}" ]
then
    export MODEL_LOG="${MODEL_LOG:-/var/log/portal/sglang.log}"
else
    export MODEL_NAME="${MODEL_NAME:-Qwen/Qwen2.5-1.5B-Instruct}"
fi

# The image's Python has SGLang; the worker's own environment has not.
if [ -z "${SGLANG_PYTHON:-}" ] && python3 -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("sglang"))'
then
    SGLANG_PYTHON=$(command -v python3)
    export SGLANG_PYTHON
fi

start_server() {
    if [ ! -d "$1" ]
    then
        wget -O - https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh | bash -s "$2"
    else
        "$1/start_server.sh" "$2"
    fi
}

start_server "${WORKSPACE_DIR:-/home/workspace}/vast-pyworker" sglang
