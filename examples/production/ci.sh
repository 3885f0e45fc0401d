#!/bin/sh
# Deploy as a pipeline does: sh ci.sh BUCKET. The exit codes of raylift say what to do next.
set -eu
cd "$(dirname "$0")"

package=$(python publish.py "$1")
sed "s|working_dir: app|working_dir: $package|" serve.yaml > serve-s3.yaml

for attempt in 1 2 3; do
  code=0
  raylift deploy serve-s3.yaml || code=$?
  case $code in
    0) echo "ci: deployed $package"; raylift status; exit ;;
    4 | 5) echo "ci: attempt $attempt: no answer, or somebody else deploys; again" ;;
    2) echo "ci: the file is wrong; nothing was changed"; exit $code ;;
    3) echo "ci: the cluster is not up or has no room; nothing was changed"; exit $code ;;
    6) echo "ci: this version does not start; the last good one serves"; exit $code ;;
    *) echo "ci: somebody has to look"; exit $code ;;
  esac
done
exit $code
