"""A minimal kubelet that runs Ray pods as real processes on one machine.

Every pod with the label ray.io/node-type that the scheduler has bound gets separate
network, mount and process namespaces, and an address from its node's podCIDR on the
rig's bridge. Its containers run the commands that the KubeRay operator set, with the
Ray installed on this machine. Every container has a separate /tmp, /mnt and /run.

Probes and hooks of the first container run in it, on the schedule in the pod. If the
container exits, it is restarted with the kubelet's back-off. A deleted pod gets its
preStop hook, SIGTERM, its grace period and SIGKILL. Other containers, such as Ray's
autoscaler, start and stop with the first one. There are no images, limits or init
containers.
"""
