"""The versions of Kubernetes and of add-ons in EKS, which moto does not list."""

DEFAULT = "1.35"
CLUSTERS = {  # version: (status, end of standard support, end of extended support)
    "1.36": ("STANDARD_SUPPORT", "2027-08-02", "2028-08-02"),
    "1.35": ("STANDARD_SUPPORT", "2027-03-27", "2028-03-27"),
    "1.34": ("STANDARD_SUPPORT", "2026-12-02", "2027-12-02"),
    "1.33": ("EXTENDED_SUPPORT", "2026-07-29", "2027-07-29"),
}
ADDONS = {  # name: versions, newest first; the second one is the default
    name: [f"v{minor}.{patch}-eksbuild.1" for patch in (2, 1)]
    for name, minor in {
        "amazon-cloudwatch-observability": "4.6",
        "aws-ebs-csi-driver": "1.52",
        "aws-efs-csi-driver": "2.1",
        "aws-fsx-csi-driver": "1.7",
        "aws-mountpoint-s3-csi-driver": "2.2",
        "coredns": "1.13",
        "eks-node-monitoring-agent": "1.4",
        "eks-pod-identity-agent": "1.3",
        "kube-proxy": "1.35",
        "metrics-server": "0.8",
        "snapshot-controller": "8.3",
        "vpc-cni": "1.21",
    }.items()
}
