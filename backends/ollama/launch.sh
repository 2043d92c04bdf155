#!/bin/bash
# Starts the worker with this backend; the worker starts Ollama if need be, and has it pull the model.

export MODEL_NAME="${MODEL_NAME:-qwen2.5:0.5b}"

start_server() {
    if [ ! -d "$1" ]
    then
        wget -O - https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh | bash -s "$2"
    else
        "$1/start_server.sh" "$2"
    fi
}

start_server "${WORKSPACE_DIR:-/home/workspace}/vast-pyworker" ollama
