#!/bin/sh
# Deploy as a CI pipeline would: sh ci.sh BUCKET. The exit code of raylift determines the
# next step.
set -eu
cd "$(dirname "$0")"

package=$(python publish.py "$1")
sed "s|working_dir: app|working_dir: $package|" serve.yaml > serve-s3.yaml

for attempt in 1 2 3; do
  code=0
  raylift deploy serve-s3.yaml || code=$?
  case $code in
    0) echo "ci: deployed $package"; raylift status; exit ;;
    4 | 5) echo "ci: attempt $attempt: no response or a concurrent deploy; retrying" ;;
    2) echo "ci: the file is invalid; nothing was changed"; exit $code ;;
    3) echo "ci: the cluster is not up or lacks resources; nothing was changed"; exit $code ;;
    6) echo "ci: the version failed; the last good version is serving"; exit $code ;;
    *) echo "ci: raylift deploy failed with exit code $code; see the error above"; exit $code ;;
  esac
done
exit $code
