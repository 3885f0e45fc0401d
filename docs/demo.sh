#!/bin/sh
# The demo: up, deploy, a request, status and delete, in a new folder on this machine.
set -eu
run() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

folder=$(mktemp -d)
cd "$folder"
clean_up() { raylift delete --yes >/dev/null 2>&1 || true; cd /; rm -rf "$folder"; }
trap clean_up EXIT

run raylift init
run raylift up
run raylift deploy
url=$(raylift up --json 2>/dev/null | python -c 'import json, sys; print(json.load(sys.stdin)["serve_url"])')
run python -c "import urllib.request as r; print(r.urlopen('$url/?name=Ray').read().decode())"
run raylift status
run raylift delete --yes
