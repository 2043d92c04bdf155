#!/bin/bash
# Starts the worker with this backend; the model server is started by whoever runs the test.
"${WORKSPACE_DIR:-/home/workspace}/vast-pyworker/start_server.sh" textgen
