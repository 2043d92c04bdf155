#!/bin/bash
# Starts the worker with this backend; the worker starts vLLM, where it is installed.

# An image that starts vLLM itself names its model in VLLM_MODEL: then one is enough.
if [ -n "${VLLM_MODEL:-}" ]
then
    export MODEL_LOG="${MODEL_LOG:-/var/log/portal/vllm.log}"
else
    export MODEL_NAME="${MODEL_NAME:-Qwen/Qwen2.5-1.5B-Instruct}"
fi

start_server() {
    if [ ! -d "$1" ]
    then
        wget -O - https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh | bash -s "$2"
    else
        "$1/start_server.sh" "$2"
    fi
}

start_server "${WORKSPACE_DIR:-/home/workspace}/vast-pyworker" vllm
