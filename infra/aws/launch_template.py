"""Launch templates of node groups: disks, network interfaces and placement."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pulumi_aws as aws

if TYPE_CHECKING:
    from raylift.infra.aws.account import Account
    from raylift.infra.aws.cluster import EksCluster
    from raylift.infra.aws.network import Network
    from raylift.infra.aws.node_group_config import NodeGroup

_SYSTEM_DISK_GIB = 50
# The format is that of nodeadm: https://awslabs.github.io/amazon-eks-ami/nodeadm
_LOCAL_DISKS = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  instance:
    localStorage:
      strategy: RAID0
--//--
"""


def system_template(account: Account) -> aws.ec2.LaunchTemplate:
    """Create the launch template of the system node group."""
    disk = _volume(_SYSTEM_DISK_GIB, 125, 3000)
    return _template(account, "system", {"block_device_mappings": [disk]})


def worker_template(
    account: Account, cluster: EksCluster, network: Network, group: NodeGroup
) -> aws.ec2.LaunchTemplate:
    """Create the launch template of a node group for Ray workers."""
    disk = group.disk
    root = _volume(disk.size_gib, disk.throughput_mibps, disk.iops, disk.snapshot_id)
    settings: dict[str, Any] = {"block_device_mappings": [root]}
    if _has_local_disks(group):
        settings["user_data"] = base64.b64encode(_LOCAL_DISKS.encode()).decode()
    if group.capacity_reservation_id:
        target = {"capacity_reservation_id": group.capacity_reservation_id}
        settings["capacity_reservation_specification"] = {
            "capacity_reservation_target": target
        }
    if group.capacity_type == "CAPACITY_BLOCK":
        settings["instance_type"] = group.instance_types[0]
        settings["instance_market_options"] = {"market_type": "capacity-block"}
    if group.efa:
        efa = _efa_group(account, network, group)
        groups = [efa.id, cluster.security_group]
        settings["network_interfaces"] = _efa_interfaces(group, groups)
    if group.placement_group or group.efa:
        settings["placement"] = {"group_name": _placement_group(account, group).name}
    return _template(account, group.name, settings)


def _has_local_disks(group: NodeGroup) -> bool:
    """Return whether to combine the instance stores; Bottlerocket lacks nodeadm."""
    is_amazon_linux = (group.ami_type or "AL2023").startswith("AL2023")
    is_raid0 = group.instance_store == "raid0" and is_amazon_linux
    return is_raid0 and all(each.nvme_gb for each in group.types())


def _template(
    account: Account, name: str, settings: dict[str, Any]
) -> aws.ec2.LaunchTemplate:
    """Create a template whose instances provide credentials only to the node.

    IMDSv2 with a hop limit of 1 prevents pods from reading them.
    """
    tags = account.tags(Name=f"{account.stack}-{name}")
    kinds = ("instance", "volume", "network-interface")
    return aws.ec2.LaunchTemplate(
        f"{name}-template",
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,
        },
        tag_specifications=[{"resource_type": kind, "tags": tags} for kind in kinds],
        update_default_version=True,
        opts=account.options(),
        **settings,
    )


def _volume(
    size: int, throughput: int, iops: int, snapshot: str | None = None
) -> dict[str, Any]:
    return {
        "device_name": "/dev/xvda",
        "ebs": {
            "volume_size": size,
            "volume_type": "gp3",
            "throughput": throughput,
            "iops": iops,
            "encrypted": "true",
            "delete_on_termination": "true",
            "snapshot_id": snapshot,
        },
    }


def _placement_group(account: Account, group: NodeGroup) -> aws.ec2.PlacementGroup:
    return aws.ec2.PlacementGroup(
        f"{group.name}-placement", strategy="cluster", opts=account.options()
    )


def _efa_interfaces(group: NodeGroup, security_groups: list[Any]) -> list[Any]:
    """Return one interface for each network card; only the first one uses IP."""
    return [
        {
            "network_card_index": card,
            "device_index": 0 if card == 0 else 1,
            "interface_type": "efa" if card == 0 else "efa-only",
            "security_groups": security_groups,
            "delete_on_termination": "true",
        }
        for card in range(min(each.efa for each in group.types()))
    ]


def _efa_group(
    account: Account, network: Network, group: NodeGroup
) -> aws.ec2.SecurityGroup:
    """Create the security group for EFA, which allows all traffic between members."""
    members = aws.ec2.SecurityGroup(
        f"{group.name}-efa",
        vpc_id=network.vpc_id,
        description="EFA between nodes of one group",
        opts=account.options(),
    )
    traffic: Any = {
        "security_group_id": members.id,
        "referenced_security_group_id": members.id,
        "ip_protocol": "-1",
        "description": "EFA between nodes of one group",
    }
    name, opts = f"{group.name}-efa", account.options()
    aws.vpc.SecurityGroupIngressRule(f"{name}-in", **traffic, opts=opts)
    aws.vpc.SecurityGroupEgressRule(f"{name}-out", **traffic, opts=opts)
    return members
