"""Backs Ray pods by real processes: a very small kubelet for one machine.

Every pod with the label ray.io/node-type that the scheduler has bound gets its
own network, mount and process namespace, an address of its node's podCIDR on the
rig's bridge, and the command that the KubeRay operator put into its first
container, run with the Ray installed on this machine. Its /tmp, /mnt and /dev/shm
are its own. Probes and hooks are really run, inside the container and on the
schedule that the pod asks for; a container that ends is restarted with the
kubelet's back-off; a deleted pod gets its preStop hook, SIGTERM, its grace period
and SIGKILL. There are no images, limits, init containers or sidecars.
"""
