#!/usr/bin/env bash
# test.sh [PYTEST-OPTION…] : builds missing components, starts a rig, runs the tests
# marked `rig` but not `long` in it (-m EXPRESSION selects others), and always stops it
# afterwards. On a machine that cannot run a rig, the tests are skipped with a reason.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "${here%/tests/rig}"
python=.venv/bin/python

skip() {
  echo "make test-rig: skipped: $1"
  RIG_SKIPPED=$1 exec "$python" -m pytest -q -m "rig and not long" "${tests[@]}"
}
go_is_new_enough() { PATH=$PATH:/usr/local/go/bin; [ "$(printf '%s\n' go1.26 "$(go env GOVERSION 2> /dev/null)" | sort -V | head -1)" = go1.26 ]; }
can_have_pods() { unshare --net --mount --pid --fork --mount-proc ip link add rig type veth peer name pod 2> /dev/null; }
install_tools() { # tools that a minimal Debian may lack, with the names of their Debian packages
  local -A packages=([ip]=iproute2 [unshare]=util-linux [nsenter]=util-linux [wget]=wget [openssl]=openssl)
  local tool missing=()
  for tool in "${!packages[@]}"; do command -v "$tool" > /dev/null || missing+=("${packages[$tool]}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } > /dev/null 2>&1
}

tests=("$@")
[ "$(id -u)" = 0 ] || skip "the rig requires root, for network namespaces"
install_tools || skip "the rig requires iproute2, util-linux, wget and openssl"
can_have_pods || skip "this machine does not support network namespaces"
if [ -n "$("$here/build.sh" missing)" ]; then
  go_is_new_enough || skip "the rig requires Go 1.26, to build etcd, Kubernetes, KubeRay and Pulumi"
  "$here/build.sh"
fi

export RIG_RUN=${RIG_RUN:-$(mktemp -d /tmp/rig-XXXX)} RIG_NETNS=${RIG_NETNS:-r$$}
export RIG_PYTHON=$PWD/$python
trap '"$here/down.sh"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
RIG_REAL_RAY=$PWD/.venv/bin "$here/up.sh"
set -m # a separate job can be interrupted, and then cleans up after itself
"$here/exec.sh" "$RIG_PYTHON" -m pytest -q -m "rig and not long" "${tests[@]}" &
running=$!
trap 'kill -INT -- "-$running"; wait; exit 130' INT TERM
wait "$running"
