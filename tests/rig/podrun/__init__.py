"""Backs Ray pods by real processes: a very small kubelet for one machine.

Every pod with the label ray.io/node-type that the scheduler has bound gets its
own network, mount and process namespace, an address of its node's podCIDR on the
rig's bridge, and the commands that the KubeRay operator put into its containers,
run with the Ray installed on this machine. Each one's /tmp, /mnt and /run are its
own. Probes and hooks of the first are really run, inside of it and on the schedule
that the pod asks for; if it ends it is restarted with the kubelet's back-off; a
deleted pod gets its preStop hook, SIGTERM, its grace period and SIGKILL. Other
containers, such as Ray's autoscaler, begin and end with the first. There are no
images, limits or init containers.
"""
