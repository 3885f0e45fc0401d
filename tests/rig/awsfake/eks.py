"""EKS clusters of moto, and the resources that AWS creates with a cluster.

These are the security group eks-cluster-sg-…, network interfaces in its subnets (which
prevent the deletion of the subnets before the cluster), a log group if logs are
enabled, and an access entry for the creator.

moto can change neither the version of a cluster nor most of its settings. The requested
settings are therefore also in a record (eks-cluster), from which outputs are read:
after an upgrade, moto's DescribeCluster still returns the first version.
"""

import base64
import contextlib
import os
import pathlib

from awsfake import records
from awsfake.ec2 import ec2, interfaces
from awsfake.iam import need_role
from awsfake.kinds import Type
from awsfake.versions import CLUSTERS, DEFAULT
from awsfake.wire import (
    Refused,
    api,
    call,
    changed,
    difference,
    tag_list,
    where,
)


def eks():
    return api("eks")


def setting(cluster, *path):
    """Return an input of the cluster named CLUSTER, which must exist."""
    value = records.read("eks-cluster", cluster)["inputs"]
    for name in path:
        value = (value or {}).get(name)
    return value


def cluster_group(name):
    """Return the security group that EKS created for a cluster, or None."""
    filters = where(**{"tag:aws:eks:cluster-name": name})
    found = ec2().describe_security_groups(Filters=filters)["SecurityGroups"]
    return found[0]["GroupId"] if found else None


class Cluster(Type):
    autoname, slow = "name", True
    replace = (
        "name",
        "roleArn",
        "bootstrapSelfManagedAddons",
        "outpostConfig",
        "accessConfig.bootstrapClusterCreatorAdminPermissions",
        "encryptionConfig.provider",
        "kubernetesNetworkConfig.ipFamily",
        "kubernetesNetworkConfig.serviceIpv4Cidr",
    )
    computed = ("vpcConfig.clusterSecurityGroupId", "vpcConfig.vpcId")
    renames = {"vpcConfig": "resourcesVpcConfig"}
    creation = ("accessConfig", "encryptionConfig", "bootstrapSelfManagedAddons")

    def create(self, inputs):
        name, subnets = inputs["name"], self.subnets(inputs)
        if len({subnet["AvailabilityZone"] for subnet in subnets}) < 2:
            raise Refused("InvalidParameterException: subnets of two zones are needed")
        self.refuse_version(inputs)
        need_role(inputs["roleArn"])
        logs = self.logging(inputs)
        call("eks", "CreateCluster", inputs, self.renames, logging=logs)
        records.write("eks-cluster", name, {"inputs": inputs})
        self.bring(inputs, subnets)
        return name

    @staticmethod
    def subnets(inputs):
        ids = inputs["vpcConfig"]["subnetIds"]
        return ec2().describe_subnets(SubnetIds=ids)["Subnets"]

    @staticmethod
    def refuse_version(inputs):
        if inputs.get("version", DEFAULT) not in CLUSTERS:
            raise Refused(
                f"InvalidParameterException: unsupported Kubernetes version "
                f"{inputs['version']}"
            )

    @staticmethod
    def logging(inputs):
        types = inputs.get("enabledClusterLogTypes") or []
        return {"clusterLogging": [{"types": types, "enabled": bool(types)}]}

    @staticmethod
    def bring(inputs, subnets):
        """Create the resources that EKS creates with a cluster."""
        name = inputs["name"]
        tags = {"aws:eks:cluster-name": name, f"kubernetes.io/cluster/{name}": "owned"}
        group = ec2().create_security_group(
            GroupName=f"eks-cluster-sg-{name}-{abs(hash(name)) % 10**9}",
            Description="EKS created security group",
            VpcId=subnets[0]["VpcId"],
            TagSpecifications=[
                {"ResourceType": "security-group", "Tags": tag_list(tags)}
            ],
        )["GroupId"]
        for subnet in subnets:
            ec2().create_network_interface(
                SubnetId=subnet["SubnetId"],
                Groups=[group],
                Description=f"Amazon EKS {name}",
            )
        if inputs.get("enabledClusterLogTypes"):
            logs = api("logs")
            with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
                logs.create_log_group(logGroupName=f"/aws/eks/{name}/cluster")
        access = inputs.get("accessConfig") or {}
        if access.get("bootstrapClusterCreatorAdminPermissions", True):
            creator = api("sts").get_caller_identity()["Arn"]
            entry = {"clusterName": name, "principalArn": creator, "type": "STANDARD"}
            value = {"inputs": entry, "made": {}}
            records.write("eks-access-entry", f"{name}:{creator}", value)

    def settle(self, ident, old, new):
        if not old:
            return
        self.refuse_version(new)
        if changed(old, new, "vpcConfig", "enabledClusterLogTypes"):
            names = {"name": ident, "vpcConfig": new["vpcConfig"]}
            logs = self.logging(new)
            call("eks", "UpdateClusterConfig", names, self.renames, logging=logs)
        live = eks().describe_cluster(name=ident)["cluster"]["arn"]
        gone, put = difference(old.get("tags"), new.get("tags"))
        if gone:
            eks().untag_resource(resourceArn=live, tagKeys=gone)
        if put:
            eks().tag_resource(resourceArn=live, tags=put)
        records.write("eks-cluster", ident, {"inputs": new})

    def outputs(self, ident, inputs):
        live = eks().describe_cluster(name=ident)["cluster"]
        asked = setting(ident)
        network = {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"}
        access = {
            "authenticationMode": "CONFIG_MAP",
            "bootstrapClusterCreatorAdminPermissions": True,
        }
        return {
            "arn": live["arn"],
            "name": ident,
            "createdAt": live["createdAt"].isoformat(),
            "status": live["status"],
            "version": asked.get("version") or DEFAULT,
            "platformVersion": live.get("platformVersion", ""),
            "tagsAll": live.get("tags") or {},
            "deletionProtection": asked.get("deletionProtection", False),
            "accessConfig": {**access, **(asked.get("accessConfig") or {})},
            "kubernetesNetworkConfig": {
                **network,
                **(asked.get("kubernetesNetworkConfig") or {}),
            },
            "vpcConfig": {
                "endpointPrivateAccess": False,
                "endpointPublicAccess": True,
                **asked["vpcConfig"],
                "clusterSecurityGroupId": cluster_group(ident),
                "vpcId": self.subnets(asked)[0]["VpcId"],
            },
            **self.address(live),
            "identities": [{"oidcs": [{"issuer": live["identity"]["oidc"]["issuer"]}]}],
        }

    @staticmethod
    def address(cluster):
        """Return the address and CA of the API server: those of the rig, if set."""
        file = os.environ.get("RIG_CA_FILE")
        data = cluster["certificateAuthority"]["data"]
        if file and pathlib.Path(file).exists():
            data = base64.b64encode(pathlib.Path(file).read_bytes()).decode()
        return {
            "endpoint": os.environ.get("RIG_API_SERVER") or cluster["endpoint"],
            "certificateAuthority": {"data": data},
        }

    def delete(self, ident, state):
        if setting(ident, "deletionProtection"):
            raise Refused(
                f"InvalidRequestException: deletion protection of {ident} is on"
            )
        eks().delete_cluster(name=ident)
        for interface in interfaces(description=f"Amazon EKS {ident}"):
            name = interface["NetworkInterfaceId"]
            ec2().delete_network_interface(NetworkInterfaceId=name)
        if group := cluster_group(ident):
            ec2().delete_security_group(GroupId=group)
        for kind, record in records.every():
            if record.get("inputs", {}).get("clusterName") == ident:
                records.remove(kind, record["id"])
        records.remove("eks-cluster", ident)
