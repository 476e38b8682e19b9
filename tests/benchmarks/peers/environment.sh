#!/bin/sh
# Makes build/peers/.venv, the peers' environment, from requirements.txt: minutes and 2.4 GB, once.
set -eu

cd "$(dirname -- "$0")/../../.."
requirements=tests/benchmarks/peers/requirements.txt
environment=build/peers/.venv
stamp=$environment/requirements.txt

if cmp -s "$requirements" "$stamp"; then
    exit 0
fi
printf 'esmm_dist: making %s, the environment of the peers; 2.4 GB of packages.\n' "$environment" >&2
mkdir -p build/peers
.venv/bin/python -m venv --clear "$environment"
"$environment/bin/python" -m pip install --quiet -r "$requirements"
cp "$requirements" "$stamp"
