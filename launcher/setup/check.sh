# Checks that this machine can install and run the project, before anything is downloaded. Sourced, not run.
#
# Sets PYTHON_311 to a CPython 3.11, and UV to a usable uv or to nothing. What is missing gets one sentence that says what
# to install, and status 1. Only commands that every Linux has are used before they are checked for.

UV_OLDEST="0.9.0" # the oldest that was tried with [tool.uv.extra-build-variables]

esmm_missing() {
    printf 'esmm_dist: %s\n' "$*" >&2
    return 1
}

esmm_check() {
    esmm_check_platform && esmm_check_python && esmm_check_uv && esmm_check_compiler && esmm_check_cuda && esmm_check_disk
}

esmm_check_platform() {
    case "$(uname -s) $(uname -m)" in
        "Linux x86_64") ;;
        *) esmm_missing "this machine is $(uname -s) $(uname -m), but TensorFlow Recommenders Addons is built for" \
            "Linux x86-64 only: use such a machine, or a linux/amd64 container." ;;
    esac
}

esmm_check_python() {
    for candidate in ${PYTHON:-python3.11 python3 python}; do
        # A shim may stand on PATH and not run, so asking is the only test.
        if esmm_is_python_311 "$candidate"; then
            PYTHON_311=$(command -v "$candidate")
            return 0
        fi
    done
    found=$("${PYTHON:-python3}" --version 2>/dev/null) || found="nothing"
    esmm_missing "CPython 3.11 is missing (${PYTHON:-python3} is: $found): install it (Debian, Ubuntu:" \
        "sudo apt-get install python3.11 python3.11-venv), or name it with: make demo PYTHON=/path/to/python3.11"
}

esmm_is_python_311() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) or sys.implementation.name != "cpython")' \
        >/dev/null 2>&1
}

esmm_check_uv() {
    UV=""
    if command -v uv >/dev/null 2>&1 && esmm_uv_is_new_enough; then
        UV=$(command -v uv)
        return 0
    fi
    # uv will be installed into an environment of its own, which needs these two modules.
    "$PYTHON_311" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        esmm_missing "the venv module of $PYTHON_311 is missing: install it (Debian, Ubuntu: sudo apt-get install" \
            "python3.11-venv), or install uv $UV_OLDEST or newer."
}

esmm_uv_is_new_enough() {
    "$PYTHON_311" - "$(uv --version 2>/dev/null)" "$UV_OLDEST" <<'END' >/dev/null 2>&1
import re, sys
found, oldest = (tuple(map(int, re.search(r"(\d+)\.(\d+)\.(\d+)", text).groups())) for text in sys.argv[1:])
sys.exit(found < oldest)
END
}

esmm_check_compiler() {
    # Compiles, because a g++ without the C++ library's headers is also on PATH.
    if ! printf '#include <string>\nint main() { return 0; }\n' |
        "${CXX:-g++}" -std=c++17 -x c++ -fsyntax-only - >/dev/null 2>&1; then
        esmm_missing "a C++17 compiler is missing (${CXX:-g++} does not compile a small program), and Horovod must be" \
            "compiled: install it (Debian, Ubuntu: sudo apt-get install g++)."
        return 1
    fi
    command -v make >/dev/null 2>&1 ||
        esmm_missing "make is missing, and Horovod must be compiled: install it (Debian, Ubuntu: sudo apt-get install make)."
}

esmm_check_cuda() {
    [ -n "${HOROVOD_GPU_OPERATIONS:-}" ] || return 0
    [ -x "${HOROVOD_CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ] || command -v nvcc >/dev/null 2>&1 ||
        esmm_missing "CUDA's compiler nvcc is missing, and HOROVOD_GPU_OPERATIONS=$HOROVOD_GPU_OPERATIONS asks for a" \
            "Horovod for GPUs: install the CUDA toolkit, name it with HOROVOD_CUDA_HOME, or unset the variable."
}

esmm_check_disk() {
    # The environment takes 2.8 GB, and uv's cache about as much; a file system that both share holds them once.
    free_kb=$(df -Pk . | awk 'NR == 2 { print $4 }')
    [ "${free_kb:-0}" -ge 4000000 ] ||
        esmm_missing "the disk of $(pwd) has $((${free_kb:-0} / 1000000)) GB free, and the environment takes 3:" \
            "free some, or clone to another disk."
}
