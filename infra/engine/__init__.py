"""Integration with Pulumi's engine.

| Question | Module |
|---|---|
| How do `preview`, `up` and `delete` run the program? | `pulumi_stack` |
| How are progress and errors of a run reported? | `operation`, `progress` |
| What does Ctrl-C do? | `signals` |
| Who holds a lock, and when is it stale? | `stale_lock` |
| Where is the state, and how are secrets encrypted? | `backend` |
| Which Pulumi CLI runs, and in which directory? | `workspace` |
| How is an interrupted run completed? | `recovery`, `pending_operations` |
"""
