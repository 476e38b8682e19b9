#!/bin/sh
# Builds the documentation site in build/docs, or in the folder that is named. A warning (a dead link, a README without a
# place in the navigation, a docstring that does not fit its function) is an error. No network is needed.
set -eu

cd "$(dirname -- "$0")/../../.."
site=${1:-build/docs}
# The theme advertises its successor at each start. Which versions are used, and until when, is in CONTRIBUTING.md.
NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict --config-file launcher/setup/docs/mkdocs.yml \
    --site-dir "$(mkdir -p "$site" && cd "$site" && pwd)"
printf 'The documentation is in %s. To read it with search: .venv/bin/python -m http.server -d %s\n' "$site" "$site"
