#!/bin/sh
# Builds the documentation site in build/docs, or in the folder that is named. A warning (a dead link, a README without a
# place in the navigation, a docstring that does not fit its function) is an error. No network is needed.
set -eu

cd "$(dirname -- "$0")/../../.."
site=${1:-build/docs}
mkdir -p "$site"
# Without --quiet, with which mkdocs does not count warnings. The theme advertises its successor at each start; which
# versions are used, and until when, is in CONTRIBUTING.md.
if ! output=$(NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --config-file launcher/setup/docs/mkdocs.yml \
    --site-dir "$(cd "$site" && pwd)" 2>&1); then
    printf '%s\n' "$output" | grep -v '^INFO' >&2
    exit 1
fi
printf 'The documentation is in %s. To read it with search: .venv/bin/python -m http.server -d %s\n' "$site" "$site"
