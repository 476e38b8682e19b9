#!/bin/sh
# Every check: format, lint, strict types, import contracts, tests. Each prints one line; the last line is pytest's.
# All of the cheap ones run even if one fails, so that one run shows all there is to fix; pytest needs them to pass.
set -u

cd "$(dirname -- "$0")/../.."
bin=.venv/bin
failed=""

check() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        printf '%-18s ok\n' "$name"
    else
        printf '%-18s FAILED: %s\n%s\n' "$name" "$*" "$output"
        failed="$failed $name"
    fi
}

check "format" $bin/ruff format --check
check "lint" $bin/ruff check
check "types" $bin/mypy
check "import contracts" $bin/lint-imports --no-cache

if [ -n "$failed" ]; then
    printf 'Not tested: fix these first:%s\n' "$failed"
    exit 1
fi
# One worker runs all tests of a file, so that a file's costly fixtures (a trained model) are made once. The files in their
# order: whole trainings first, so that the one that takes longest does not run alone at the end.
exec $bin/python -m pytest -m "not slow and not gpu and not k8s" -n 2 --dist loadfile --no-loadscope-reorder -q
