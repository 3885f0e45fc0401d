"""Target `kubernetes`: a Ray service in an existing cluster.

| Question | Module |
|---|---|
| What does the program create, and in which order? | `program`, `ray_service` |
| What does a RayService contain? | `manifest`, `{head,worker,pod}_template` |
| What does the cluster provide, and is that enough? | `cluster_info`, `preflight` |
| When is the Ray cluster ready? | `readiness` |
| How do commands find a stack without Pulumi? | `description`, `described_stack` |
| How do GitOps tools get the objects? | `render` |
| Which objects belong to others? | `ownership` |
| What did an interrupted run create? | `recovery` |
"""
