#!/bin/sh
# Chromium for the tests of pages (tests/support/browser.py), from Debian's packages, where this machine has none and may
# install it. Prints one line unless it is there; never fails: without it those tests are skipped and say so.
set -u

log=${1:-build/browser.log}

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then
        exit 0
    fi
done

skipped() {
    printf 'No Chromium, and %s: tests of pages in a browser are skipped.\n' "$1"
    exit 0
}

[ "$(id -u)" = "0" ] || skipped "installing it takes root (apt-get install chromium fonts-dejavu-core)"
command -v apt-get >/dev/null 2>&1 || skipped "there is no apt-get to install it"

# A network that answers nothing costs a minute here, not apt's many.
apt() {
    DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 "$@" </dev/null
}

mkdir -p "$(dirname -- "$log")"
if { apt update && apt install --no-install-recommends chromium fonts-dejavu-core; } >"$log" 2>&1; then
    printf 'Installed Chromium for the tests of pages.\n'
else
    skipped "apt-get could not install it, see $log"
fi
