#!/bin/bash
# Starts the worker with this backend; there is no model to start after it.
set -eu

start_server() {
    if [ -x "$1/start_server.sh" ]; then
        "$1/start_server.sh" "$2"
    else
        wget -O - https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh | bash -s "$2"
    fi
}

start_server "${WORKSPACE_DIR:-/home/workspace}/vast-pyworker" helloautoscaler
