"""EKS node groups of moto, and the resources that AWS creates with a node group.

These are an Auto Scaling group and its launch template; the instances are in the node
group's subnets. moto does not store all settings of a node group, so the requested
settings are also in a record (eks-nodegroup).
"""

from awsfake import records
from awsfake.ec2 import ec2
from awsfake.eks import cluster_group, eks, setting
from awsfake.iam import need_role
from awsfake.kinds import Type
from awsfake.versions import DEFAULT
from awsfake.wire import (
    Refused,
    api,
    call,
    changed,
    difference,
    first,
    given,
    tag_list,
    where,
)


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
        """Return the data of the instances: the launch template's, and EKS's."""
        data = {"ImageId": "ami-12c6146b"}  # one of moto's images
        if which := inputs.get("launchTemplate"):
            version = str(which.get("version", "$Default"))
            key = "LaunchTemplateId" if which.get("id") else "LaunchTemplateName"
            found = ec2().describe_launch_template_versions(
                **{key: which.get("id") or which["name"]}, Versions=[version]
            )["LaunchTemplateVersions"]
            data |= first(found, which)["LaunchTemplateData"]
        types = inputs.get("instanceTypes") or []
        if types and "InstanceType" in data:
            raise Refused("InvalidParameterException: instance types are in both")
        data.setdefault("InstanceType", (types or ["t3.medium"])[0])
        if not {"SecurityGroupIds", "NetworkInterfaces"} & data.keys():
            data["SecurityGroupIds"] = [cluster_group(inputs["clusterName"])]
        return data

    @staticmethod
    def group(ident):
        """Return the name of the Auto Scaling group and of EKS's launch template."""
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
        """Create, update or delete the warm pool, as the settings require."""
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
        """Return the sizes of the Auto Scaling group, which an autoscaler changes."""
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
        """Delete the Auto Scaling group and the interfaces, which moto does not."""
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
