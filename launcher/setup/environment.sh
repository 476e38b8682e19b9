#!/bin/sh
# Makes .venv: the packages of requirements.lock, Horovod compiled against the pinned TensorFlow, and the project.
#
#   sh launcher/setup/environment.sh            from anywhere; takes milliseconds when all is done
#   sh launcher/setup/environment.sh --check    only checks the machine
#
# Once it is done, a stamp in .venv holds a checksum of what it was made from; a change of those files runs it again.
# PYTHON=... names a CPython 3.11 that is not on PATH. The machine need not have uv or cmake.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cd "$here/../.."
. launcher/setup/check.sh

log="build/setup.log"
stamp=".venv/esmm-setup-stamp"

main() {
    wanted=$(cat requirements.lock pyproject.toml launcher/setup/*.sh launcher/setup/uv.txt | sha256sum)
    [ "${1:-}" = "--check" ] || ! is_done || return 0
    esmm_check
    [ "${1:-}" != "--check" ] || return 0
    mkdir -p build
    hold_lock "$@"
    ! is_done || return 0
    make_environment
    printf '%s\n' "$wanted" >"$stamp"
    printf 'esmm_dist: .venv is ready.\n' >&2
}

is_done() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x .venv/bin/esmm ]
}

# Two at once (make demo in one window, make test in another) would damage each other's work: the second waits.
hold_lock() {
    if command -v flock >/dev/null 2>&1; then
        exec 9>build/setup.lock
        flock 9
    fi
}

make_environment() {
    : >"$log"
    if [ -x .venv/bin/python ] && ! esmm_is_python_311 .venv/bin/python; then
        esmm_missing ".venv holds another Python than CPython 3.11: remove it (rm -r .venv) and run make again."
    fi
    if [ -f "$stamp" ]; then
        printf 'esmm_dist: the pinned versions or the set-up changed; bringing .venv up to date.\n' >&2
    else
        printf 'esmm_dist: making .venv, once: 2 GB of packages, and Horovod is compiled (3 minutes on 2 idle cores).\n' >&2
    fi
    printf 'esmm_dist: details are in %s\n' "$log" >&2
    [ -n "$UV" ] || step "installing uv" install_uv
    step "creating .venv" "$UV" venv --allow-existing --python "$PYTHON_311" .venv
    step "installing the locked packages" sync_packages
    step "installing the project" "$UV" pip install --python .venv/bin/python --no-deps --no-build-isolation -e .
    step "compiling Python files" compile_python_files
}

# Runs a command with its output in the log: on the terminal it is one line.
step() {
    what=$1
    shift
    printf '  %s ... ' "$what" >&2
    started=$(date +%s)
    printf '\n== %s: %s\n' "$what" "$*" >>"$log"
    if "$@" >>"$log" 2>&1; then
        printf 'done, %d s\n' "$(($(date +%s) - started))" >&2
    else
        printf 'FAILED. The end of %s:\n\n' "$log" >&2
        tail -n 25 "$log" >&2
        printf '\nesmm_dist: %s failed, see above and %s. If the network failed, run make again.\n' "$what" "$log" >&2
        exit 1
    fi
}

# pip finds at once that it is there already.
install_uv() {
    "$PYTHON_311" -m venv .venv-uv &&
        .venv-uv/bin/python -m pip install --quiet --require-hashes -r launcher/setup/uv.txt || return 1
    UV="$PWD/.venv-uv/bin/uv"
}

# How Horovod is compiled stands in pyproject.toml, which uv reads from here.
sync_packages() {
    "$UV" pip sync --python .venv/bin/python --require-hashes requirements.lock
}

# Once here, because many machines and images set PYTHONDONTWRITEBYTECODE: there each start of TensorFlow would compile
# its thousands of files anew (8.5 CPU-seconds instead of 3.8). Files that are no Python 3 (templates) do not compile.
compile_python_files() {
    .venv/bin/python -m compileall -q -j 0 .venv/lib/python3.11/site-packages esmm_dist preprocess launcher ||
        printf 'Some files are no Python 3; they are left as they are.\n'
}

main "$@"
