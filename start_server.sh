#!/usr/bin/env bash
# Starts the worker of one backend: finds or clones the project, finds a Python, and hands over to
# vast_pyworker/install.py, which installs the packages and becomes vast_pyworker/worker/start.py.
# Everything is inside functions, so that a download cut short (wget | bash) does nothing.
set -u -o pipefail

usage() {
    cat <<'HELP'
Usage: start_server.sh [OPTION] [BACKEND]        or: wget -O - URL/start_server.sh | bash -s BACKEND

Starts the worker of BACKEND (default: $BACKEND) and returns once it answers.

  --foreground  stay, as the worker itself      --stop    end the worker once it has drained
  --status      say what runs                   --logs    show the worker's log
  --help        show this

Settings are environment variables: docs/settings.md. Those of this script alone:
  PYWORKER_REPO, PYWORKER_REF   what is cloned where there is no checkout
  WORKSPACE_DIR                 where it is cloned to (/home/workspace)
  PYWORKER_VENV                 the virtual environment (.venv in the checkout)

Exit codes: 0 the worker answers   3 no worker runs   64 wrong command line   65 unknown backend
  66 port taken   67 no disk   68 package not installed   69 certificate refused   70 bad Python
  71 not cloned   72 worker did not answer   73 bad setting   74 bad backend   75 unexpected
  128 + N: ended by signal N
HELP
}

json_text() { # $1 as a JSON string
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    printf '"%s"' "${text//[[:cntrl:]]/ }"
}

post() { # the body comes by stdin: an argument could be read by every user of the machine
    if command -v curl >/dev/null; then
        curl -sS -f -m 10 --retry 1 --retry-connrefused -o /dev/null -H 'Content-Type: application/json' --data-binary @- "$1"
    else
        python3 -c 'import sys, urllib.request as u
u.urlopen(u.Request(sys.argv[1], sys.stdin.buffer.read(), {"Content-Type": "application/json"}), timeout=10)' "$1"
    fi
}

report() { # tell every configured autoscaler why there is no worker
    local addresses=${REPORT_ADDR:-} id=${CONTAINER_ID:-null} address
    [ -n "$addresses" ] || [ "$id" = null ] || addresses=https://run.vast.ai
    case $id in *[!0-9]*) id=null ;; esac
    for address in ${addresses//,/ }; do
        printf '{"id": %s, "mtoken": %s, "version": "0", "error_msg": %s, "url": ""}' \
            "$id" "$(json_text "${MASTER_TOKEN:-}")" "$(json_text "$1")" |
            post "${address%/}/worker_status/" >/dev/null 2>&1
    done
}

fail() { # $1: the exit code, $2: the sentence
    trap - EXIT
    trap '' TERM INT HUP
    printf '%s\n' "$2" >&2
    [ -z "${draft:-}" ] || rm -rf "$draft"
    case ${action:-start} in start | foreground) report "$2" ;; esac
    exit "$1"
}

stopped() { # $1: the signal
    [ -z "${child:-}" ] || kill "$child" 2>/dev/null
    fail $((128 + $(kill -l "$1"))) "The start was stopped by SIG$1; start it again."
}

run() { # run a long step so that a signal is heard at once, not after it
    "$@" </dev/null &
    child=$!
    wait "$child"
    local code=$?
    child=
    return "$code"
}

choose() { # read the command line into $action and $backend
    action=start backend=${BACKEND:-}
    while [ $# -gt 0 ]; do
        case $1 in
            --help | -h) usage && exit 0 ;;
            --foreground | --stop | --status | --logs) action=${1#--} ;;
            -*) fail 64 "There is no option $1: see start_server.sh --help." ;;
            *) backend=$1 ;;
        esac
        shift
    done
}

find_checkout() { # set $root to the checkout that this file is part of, else to a clone
    local file=${BASH_SOURCE[0]:-}
    if [ -f "$file" ]; then
        root=$(dirname "$(readlink -f "$file")")
        [ ! -f "$root/vast_pyworker/install.py" ] || return 0
    fi
    root=${WORKSPACE_DIR:-/home/workspace}/vast-pyworker
    [ ! -f "$root/vast_pyworker/install.py" ] || return 0
    case $action in
        start | foreground) clone ;;
        *) fail 3 "No worker runs: there is no checkout in $root." ;;
    esac
}

clone() { # into a folder beside $root, which appears only when whole
    local repo=${PYWORKER_REPO:-https://github.com/vast-ai/vast-pyworker} ref=${PYWORKER_REF:-main}
    local free_kib
    [ ! -e "$root" ] || fail 71 "$root is there but holds no worker: move it away and start again."
    mkdir -p "${root%/*}" || fail 67 "${root%/*} cannot be made: set WORKSPACE_DIR to another folder."
    free_kib=$(df -Pk "${root%/*}" | awk 'NR == 2 { print $4 }')
    [ "${free_kib:-0}" -ge 102400 ] || fail 67 "No room for a clone in ${root%/*}: free 100 MiB there."
    if ! command -v git >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        run apt-get update -qq >/dev/null && run apt-get install -qq -y git >/dev/null
    fi
    command -v git >/dev/null || fail 71 "git is needed to clone $repo: install it and start again."
    draft=$(mktemp -d "$root.XXXXXX") || fail 67 "${root%/*} cannot be written: set WORKSPACE_DIR."
    # A connection that stands still is given up; a password is never asked for.
    export GIT_TERMINAL_PROMPT=0 GIT_HTTP_LOW_SPEED_LIMIT=1000 GIT_HTTP_LOW_SPEED_TIME=60
    printf 'Cloning %s (%s) to %s.\n' "$repo" "$ref" "$root"
    # Not every server lets a commit be fetched by its number alone: then take everything.
    if ! { run git clone -q --depth 1 --branch "$ref" "$repo" "$draft" 2>/dev/null ||
        { run git clone -q "$repo" "$draft" && run git -C "$draft" checkout -q "$ref"; }; }; then
        fail 71 "$repo could not be cloned at $ref: check PYWORKER_REPO, PYWORKER_REF and the network."
    fi
    chmod 755 "$draft"
    mv -T "$draft" "$root" || fail 71 "$root could not be put in place: move away what is there."
    draft=
}

find_python() { # set $python to the first that is new enough; a name alone may be an empty shim
    for python in python3 python3.13 python3.12 python3.11 python3.10; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && return
    done
    fail 70 "Python 3.10 or newer is needed and was not found: install python3 and python3-venv."
}

main() {
    trap 'stopped TERM' TERM
    trap 'stopped INT' INT
    trap 'stopped HUP' HUP
    trap 'code=$?; [ "$code" = 0 ] || fail 75 "Unexpected end, status $code: start it again."' EXIT
    choose "$@"
    find_checkout
    find_python
    exec "$python" "$root/vast_pyworker/boot.py" vast_pyworker.install:main "$action" ${backend:+"$backend"} </dev/null
}

main "$@"
