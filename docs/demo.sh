#!/bin/sh
# The whole sentence on one machine: up, deploy, request, status, delete.
set -eu
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
run() { say "$@"; "$@"; }

cd "$(dirname "$0")/../examples/hello"
trap 'raylift delete --yes >/dev/null 2>&1 || true' EXIT

run raylift up
run raylift deploy
url=$(raylift up --json 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)["serve_url"])')
say "curl $url/hello?name=Ray"
python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$url/hello?name=Ray"
run raylift status
run raylift delete --yes
