"""Target `local`: a Ray cluster as processes on this machine.

| Question | Module |
|---|---|
| How do `up`, `outputs` and `delete` work? | `stack` |
| What has to start, stop or restart? | `diff` |
| With which arguments does a node start? | `node_plan`, `ports` |
| Which processes belong to a stack, and how are they stopped? | `processes` |
| What was applied last? | `state` |
| Why is no port open to the network? | `node_plan`, `grpc_loopback`, `haproxy` |
"""
