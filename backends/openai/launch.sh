#!/bin/bash
# Starts the worker with this backend, in front of the server at MODEL_SERVER_URL.

start_server() {
    if [ ! -d "$1" ]
    then
        wget -O - https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh | bash -s "$2"
    else
        "$1/start_server.sh" "$2"
    fi
}

start_server "${WORKSPACE_DIR:-/home/workspace}/vast-pyworker" openai
