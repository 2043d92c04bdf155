#!/bin/bash
# Starts the worker with this backend; the worker starts TEI, where it is installed.

export MODEL_NAME="${MODEL_NAME:-BAAI/bge-small-en-v1.5}"

start_server() {
    if [ ! -d "$1" ]
    then
        wget -O - https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh | bash -s "$2"
    else
        "$1/start_server.sh" "$2"
    fi
}

start_server "${WORKSPACE_DIR:-/home/workspace}/vast-pyworker" tei
