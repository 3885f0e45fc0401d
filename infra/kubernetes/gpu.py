"""Names that GPU nodes go by: what the device plugin, EKS and the scheduler use."""

GPU_RESOURCE = "nvidia.com/gpu"
GPU_TAINT = "nvidia.com/gpu"
TAINT_VALUE = "true"
GPU_LABEL = "nvidia.com/gpu.present"
# By it the Cluster Autoscaler knows that a GPU node without GPUs is not ready yet.
ACCELERATOR_LABEL = "k8s.amazonaws.com/accelerator"
NODE_GROUP_LABEL = "raylift.io/node-group"
