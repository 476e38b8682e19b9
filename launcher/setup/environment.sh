#!/bin/sh
# Makes .venv: the packages of requirements.lock, Horovod compiled against the pinned TensorFlow, and the project.
#
#   sh launcher/setup/environment.sh            from anywhere; takes milliseconds when all is done
#   sh launcher/setup/environment.sh --no-dev   without what only developing needs, and never written to afterwards:
#                                               for images
#   sh launcher/setup/environment.sh --check    only checks the machine; after --no-dev, or alone
#   sh launcher/setup/environment.sh --dry-run  checks the machine and prints the steps; likewise
#
# Once it is done, a stamp in .venv holds a checksum of what it was made from; a change of those files runs it again.
# PYTHON=... names a CPython 3.11 that is not on PATH. HOROVOD_GPU_OPERATIONS=NCCL compiles Horovod for GPUs; it wants
# CUDA's compiler and NCCL's headers, and Horovod's other HOROVOD_* variables are passed on to its build. The machine need
# not have uv or cmake.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cd "$here/../.."
. launcher/setup/check.sh

log="build/setup.log"
stamp=".venv/esmm-setup-stamp"

main() {
    dev="yes"
    mode="install"
    for flag in "$@"; do
        case "$flag" in
            --no-dev) dev="no" ;;
            --check | --dry-run) mode=${flag#--} ;;
            *) esmm_missing "environment.sh knows no $flag: it has --no-dev, --check and --dry-run." || exit 2 ;;
        esac
    done
    wanted=$({
        cat requirements.lock pyproject.toml launcher/setup/*.sh launcher/setup/*.py launcher/setup/uv.txt
        printf '%s\n' "$dev" "${HOROVOD_GPU_OPERATIONS:-}"
    } | sha256sum)
    [ "$mode" != "install" ] || ! is_done || return 0
    esmm_check
    case "$mode" in
        check) return 0 ;;
        dry-run)
            list_steps
            return 0
            ;;
    esac
    mkdir -p build
    hold_lock
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
    steps
}

steps() {
    if [ -z "$UV" ]; then
        step "installing uv" install_uv
        UV="$PWD/.venv-uv/bin/uv"
    fi
    step "creating .venv" "$UV" venv --allow-existing --python "$PYTHON_311" .venv
    step "installing the locked packages" sync_packages
    step "installing the project" "$UV" pip install --python .venv/bin/python --no-deps --no-build-isolation -e .
    step "compiling Python files" compile_python_files
}

# For --dry-run: the names and commands of the steps instead of their work.
list_steps() {
    step() {
        what=$1
        shift
        printf '%s: %s\n' "$what" "$*"
    }
    steps
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
        .venv-uv/bin/python -m pip install --quiet --require-hashes -r launcher/setup/uv.txt
}

# How Horovod is compiled stands in pyproject.toml, which uv reads from here.
sync_packages() {
    lock="requirements.lock"
    if [ "$dev" = "no" ]; then
        lock="build/runtime.lock"
        "$PYTHON_311" launcher/setup/runtime_lock.py >"$lock" || return 1
    fi
    if [ -n "${HOROVOD_GPU_OPERATIONS:-}" ]; then
        # uv keeps what it has compiled and does not see this variable: a build of the other kind must not be found
        UV_CACHE_DIR="$("$UV" cache dir)/horovod-$HOROVOD_GPU_OPERATIONS"
        export UV_CACHE_DIR
    fi
    "$UV" pip sync --python .venv/bin/python --require-hashes "$lock"
}

# Once here, because many machines and images set PYTHONDONTWRITEBYTECODE: there each start of TensorFlow would compile
# its thousands of files anew (8.5 CPU-seconds instead of 3.8). Files that are no Python 3 (templates) do not compile.
# Image builders may change the files' times, by which Python tells that a compiled file is old; with --no-dev it does
# not look, and never compiles again.
compile_python_files() {
    invalidation="timestamp"
    [ "$dev" = "yes" ] || invalidation="unchecked-hash"
    .venv/bin/python -m compileall -q -j 0 --invalidation-mode "$invalidation" \
        .venv/lib/python3.11/site-packages esmm_dist preprocess launcher ||
        printf 'Some files are no Python 3; they are left as they are.\n'
}

main "$@"
