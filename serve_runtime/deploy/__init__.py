"""Deploying applications, in five stages.

1. **Prepare** (`prepare.py`): compare a Serve config with the cluster. Errors that Ray
   would report late or never are checked first (`preflight.py`). Then code is uploaded,
   safe defaults are added (`defaults.py`), and the changes are planned. Only code
   packages are written.
2. **Plan** (`plan.py`): compare the documents in the config with those that run.
   A pure function; `deploy --dry-run` stops after it.
3. **Submit** (`deploy.py`): write the changed documents to the desired state and open a
   release. The cluster does both (`cluster/`), and refuses concurrent changes.
4. **Watch** (`watch.py`): wait until Ray runs the documents and its proxy routes to
   them. `causes.py` explains what the applications are waiting for, and detects those
   that will never run. A default that keeps an application from running is withdrawn
   (`convergence.py`).
5. **Close or roll back** (`deploy.py`): record the release as good, or restore
   the last good documents and watch those.

Two commands build on these stages. `raylift traffic` plans new weights for a splitter
(`traffic_weights.py`) and deploys them. `raylift deploy --canary` finds the application
and its splitter (`canary_plan.py`), then shifts traffic to the new version in steps
(`canary.py`) and judges both versions after each (`canary_verdict.py`).
"""
