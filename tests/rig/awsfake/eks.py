"""EKS: clusters and node groups, which moto has, and what belongs to a cluster.

With a cluster come what EKS makes itself: the security group eks-cluster-sg-…, network
interfaces in its subnets (which keep the subnets from being deleted before it), a log
group when logs are on, an access entry for its creator. With a node group comes a real
Auto Scaling group with a launch template, whose instances are in the group's subnets.

moto cannot change a cluster's version nor most of its settings, and forgets half of a
node group. What was asked for is therefore kept as a record as well (eks-cluster,
eks-nodegroup), and outputs are read from there.
"""

import base64
import contextlib
import os
import pathlib

from awsfake import records
from awsfake.ec2 import ec2, interfaces
from awsfake.iam import need_role
from awsfake.kinds import Recorded, Type
from awsfake.versions import ADDONS, CLUSTERS, DEFAULT
from awsfake.wire import (
    Refused,
    account,
    api,
    arn,
    call,
    changed,
    difference,
    first,
    given,
    is_gone,
    tag_list,
    where,
)


def eks():
    return api("eks")


def setting(cluster, *path):
    """An input of the cluster named CLUSTER; it must exist."""
    value = records.read("eks-cluster", cluster)["inputs"]
    for name in path:
        value = (value or {}).get(name)
    return value


def cluster_group(name):
    """The security group that EKS makes for a cluster, or None."""
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
        """What EKS makes along with a cluster."""
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
        """Where its API server is: the one that the rig runs, where it says so."""
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


class NodeGroup(Type):
    autoname, slow = "nodeGroupName", True
    replace = (
        "amiType",
        "capacityType",
        "clusterName",
        "diskSize",
        "instanceTypes",
        "launchTemplate.id",
        "launchTemplate.name",
        "nodeGroupName",
        "nodeGroupNamePrefix",
        "nodeRoleArn",
        "remoteAccess",
        "subnetIds",
    )
    renames = {"subnetIds": "subnets", "nodeRoleArn": "nodeRole"}

    def create(self, inputs):
        cluster, name = inputs["clusterName"], inputs["nodeGroupName"]
        setting(cluster)
        need_role(inputs["nodeRoleArn"])
        template = self.template(inputs)
        call("eks", "CreateNodegroup", inputs, self.renames)
        ident = f"{cluster}:{name}"
        records.write("eks-nodegroup", ident, {"inputs": inputs})
        self.scale_out(self.group(ident), inputs, template)
        return ident

    def template(self, inputs):
        """What instances are made of: the launch template's part, with EKS's own."""
        data = {"ImageId": "ami-12c6146b"}  # one of those that moto has
        if which := inputs.get("launchTemplate"):
            version = str(which.get("version", "$Default"))
            key = "LaunchTemplateId" if which.get("id") else "LaunchTemplateName"
            found = ec2().describe_launch_template_versions(
                **{key: which.get("id") or which["name"]}, Versions=[version]
            )["LaunchTemplateVersions"]
            data |= first(found, which)["LaunchTemplateData"]
        types = inputs.get("instanceTypes") or []
        if bool(types) == ("InstanceType" in data) and types:
            raise Refused("InvalidParameterException: instance types are in both")
        data.setdefault("InstanceType", (types or ["t3.medium"])[0])
        if not {"SecurityGroupIds", "NetworkInterfaces"} & data.keys():
            data["SecurityGroupIds"] = [cluster_group(inputs["clusterName"])]
        return data

    @staticmethod
    def group(ident):
        """The name of the Auto Scaling group, and of EKS's launch template."""
        cluster, name = ident.split(":")
        found = eks().describe_nodegroup(clusterName=cluster, nodegroupName=name)
        return found["nodegroup"]["resources"]["autoScalingGroups"][0]["name"]

    def scale_out(self, name, inputs, template):
        cluster, sizes = inputs["clusterName"], self.sizes(inputs)
        ec2().create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData=template
        )
        own = {
            "eks:cluster-name": cluster,
            "eks:nodegroup-name": inputs["nodeGroupName"],
            f"kubernetes.io/cluster/{cluster}": "owned",
            "k8s.io/cluster-autoscaler/enabled": "true",
            f"k8s.io/cluster-autoscaler/{cluster}": "owned",
        }
        api("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate={"LaunchTemplateName": name, "Version": "$Latest"},
            VPCZoneIdentifier=",".join(inputs["subnetIds"]),
            Tags=[{**tag, "PropagateAtLaunch": True} for tag in tag_list(own)],
            **sizes,
        )

    @staticmethod
    def sizes(inputs):
        sizes = inputs["scalingConfig"]
        return {
            "MinSize": sizes["minSize"],
            "MaxSize": sizes["maxSize"],
            "DesiredCapacity": sizes["desiredSize"],
        }

    def settle(self, ident, old, new):
        name = self.group(ident)
        self.warm(name, old, new)
        if not old:
            return
        cluster, group = ident.split(":")
        gone, put = difference(old.get("labels"), new.get("labels"))
        labels = {"addOrUpdateLabels": put, "removeLabels": gone}
        before, after = old.get("taints") or [], new.get("taints") or []
        gone = [taint for taint in before if taint not in after]
        taints = {"removeTaints": gone, "addOrUpdateTaints": after}
        names = ("scalingConfig", "updateConfig", "nodeRepairConfig")
        eks().update_nodegroup_config(
            **given(
                "eks", "UpdateNodegroupConfig", {key: new.get(key) for key in names}
            ),
            clusterName=cluster,
            nodegroupName=group,
            labels={key: value for key, value in labels.items() if value},
            taints={key: value for key, value in taints.items() if value},
        )
        if changed(old, new, "scalingConfig"):
            api("autoscaling").update_auto_scaling_group(
                AutoScalingGroupName=name, **self.sizes(new)
            )
        if changed(old, new, "launchTemplate"):
            data = self.template(new)
            ec2().create_launch_template_version(
                LaunchTemplateName=name, LaunchTemplateData=data
            )
        records.write("eks-nodegroup", ident, {"inputs": new})

    @staticmethod
    def warm(name, old, new):
        """The pool of stopped instances: there is one where its settings are."""
        if not changed(old, new, "warmPoolConfig"):
            return
        scaling = api("autoscaling")
        if not (pool := new.get("warmPoolConfig")):
            scaling.delete_warm_pool(AutoScalingGroupName=name, ForceDelete=True)
            return
        pool = {
            **pool,
            "instanceReusePolicy": {
                "reuseOnScaleIn": pool.get("reuseOnScaleIn", False)
            },
        }
        names = {"poolState": "PoolState"}
        capitals = {
            **pool,
            "poolState": str(pool.get("poolState", "STOPPED")).capitalize(),
        }
        call("autoscaling", "PutWarmPool", capitals, names, AutoScalingGroupName=name)

    def outputs(self, ident, inputs):
        cluster, name = ident.split(":")
        live = eks().describe_nodegroup(clusterName=cluster, nodegroupName=name)
        live = live["nodegroup"]
        asked = records.read("eks-nodegroup", ident)["inputs"]
        sizes = {**asked["scalingConfig"], **self.live_sizes(ident)}
        return {
            "arn": live["nodegroupArn"],
            "status": live["status"],
            "nodeGroupName": name,
            "capacityType": live["capacityType"],
            "amiType": live["amiType"],
            "version": asked.get("version") or setting(cluster, "version") or DEFAULT,
            "labels": live.get("labels") or {},
            "scalingConfig": sizes,
            "tagsAll": asked.get("tags") or {},
            "resources": [
                {
                    "autoscalingGroups": [{"name": self.group(ident)}],
                    "remoteAccessSecurityGroupId": "",
                }
            ],
        }

    def live_sizes(self, ident):
        """As the Auto Scaling group has them: an autoscaler changes them there."""
        found = api("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[self.group(ident)]
        )["AutoScalingGroups"]
        group = first(found, ident)
        names = {
            "minSize": "MinSize",
            "maxSize": "MaxSize",
            "desiredSize": "DesiredCapacity",
        }
        return {name: group[key] for name, key in names.items()}

    def delete(self, ident, state):
        cluster, name = ident.split(":")
        self.scale_in(self.group(ident))
        eks().delete_nodegroup(clusterName=cluster, nodegroupName=name)
        records.remove("eks-nodegroup", ident)

    @staticmethod
    def scale_in(name):
        """Ends the Auto Scaling group; moto leaves the instances' interfaces behind."""
        filters = where(**{"tag:aws:autoscaling:groupName": name})
        found = ec2().describe_instances(Filters=filters)["Reservations"]
        left = [
            interface["NetworkInterfaceId"]
            for reservation in found
            for instance in reservation["Instances"]
            for interface in instance["NetworkInterfaces"]
        ]
        scaling = api("autoscaling")
        scaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        ec2().delete_launch_template(LaunchTemplateName=name)
        for interface in ec2().describe_network_interfaces()["NetworkInterfaces"]:
            if interface["NetworkInterfaceId"] in left:
                ident = interface["NetworkInterfaceId"]
                ec2().delete_network_interface(NetworkInterfaceId=ident)


def in_cluster(inputs):
    """Refuses what is to be in a cluster that does not exist."""
    setting(inputs["clusterName"])


def refuse_addon(inputs):
    in_cluster(inputs)
    versions = ADDONS.get(inputs["addonName"])
    if versions is None:
        raise Refused(f"InvalidParameterException: no add-on {inputs['addonName']}")
    if inputs.get("addonVersion", versions[0]) not in versions:
        raise Refused(
            f"InvalidParameterException: Addon version {inputs['addonVersion']} "
            f"specified is not supported"
        )


def refuse_entry(inputs):
    mode = setting(inputs["clusterName"], "accessConfig", "authenticationMode")
    if mode not in ("API", "API_AND_CONFIG_MAP"):
        raise Refused(
            "InvalidRequestException: the cluster's authentication mode must be "
            "one of [API, API_AND_CONFIG_MAP]"
        )
    if (
        ":role/" in inputs["principalArn"]
        and f":{account()}:" in inputs["principalArn"]
    ):
        need_role(inputs["principalArn"])


def refuse_policy(inputs):
    in_cluster(inputs)
    try:
        ident = "{clusterName}:{principalArn}".format(**inputs)
        records.read("eks-access-entry", ident)
    except Exception as error:
        if is_gone(error):
            raise Refused(
                f"ResourceNotFoundException: no access entry {ident}"
            ) from error
        raise


def refuse_identity(inputs):
    in_cluster(inputs)
    need_role(inputs["roleArn"])
    names = ("clusterName", "namespace", "serviceAccount")
    for _, record in records.every("eks-pod-identity"):
        if not changed(record["inputs"], inputs, *names):
            raise Refused("ResourceInUseException: the service account has one already")


ADDON = Recorded(
    "eks-addon",
    "{clusterName}:{addonName}",
    replace=("addonName", "clusterName", "namespaceConfig"),
    refuse=refuse_addon,
    made=lambda inputs, random: {
        "arn": arn("eks", "addon/{clusterName}/{addonName}/".format(**inputs) + random),
        "addonVersion": ADDONS[inputs["addonName"]][0],
    },
)
ACCESS_ENTRY = Recorded(
    "eks-access-entry",
    "{clusterName}:{principalArn}",
    replace=("clusterName", "principalArn", "type"),
    refuse=refuse_entry,
    made=lambda inputs, random: {
        "accessEntryArn": arn("eks", f"access-entry/{inputs['clusterName']}/{random}"),
        "type": "STANDARD",
        "userName": inputs["principalArn"],
    },
)
ACCESS_POLICY = Recorded(
    "eks-access-policy",
    "{clusterName}#{principalArn}#{policyArn}",
    replace=("clusterName", "principalArn", "policyArn", "accessScope"),
    refuse=refuse_policy,
)
POD_IDENTITY = Recorded(
    "eks-pod-identity",
    "a-{random}",
    replace=("clusterName", "namespace", "serviceAccount"),
    refuse=refuse_identity,
    made=lambda inputs, random: {
        "associationId": f"a-{random}",
        "associationArn": arn(
            "eks", f"podidentityassociation/{inputs['clusterName']}/a-{random}"
        ),
    },
)
