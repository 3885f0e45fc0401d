"""Resource, taint and label names for GPU nodes, as used by Kubernetes and EKS."""

GPU_RESOURCE = "nvidia.com/gpu"
GPU_TAINT = "nvidia.com/gpu"
TAINT_VALUE = "true"
GPU_LABEL = "nvidia.com/gpu.present"
# With this label, the Cluster Autoscaler waits until GPUs are allocatable.
ACCELERATOR_LABEL = "k8s.amazonaws.com/accelerator"
NODE_GROUP_LABEL = "raylift.io/node-group"
