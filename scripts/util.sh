# shellcheck shell=bash
# For launch scripts: copy the function, or source this file.

# start_server DIR BACKEND: start the worker from the checkout in DIR; where there is none, from a
# clone that the downloaded start script makes. Returns once the worker answers, with the exit
# code of start_server.sh.
start_server() {
    if [ ! -d "$1" ]
    then
        wget -O - https://raw.githubusercontent.com/vast-ai/vast-pyworker/main/start_server.sh | bash -s "$2"
    else
        "$1/start_server.sh" "$2"
    fi
}
