"""Launch templates, and the other types of EC2 that nodes and networks need."""

from awsfake.ec2 import Ec2, ec2
from awsfake.kinds import Type
from awsfake.wire import call, first, given, tags_of, where


class LaunchTemplate(Ec2):
    """A launch template; each change of its instance data creates a new version."""

    noun, tagged, autoname = "LaunchTemplate", "launch-template", "name"
    replace, moving = ("name", "namePrefix"), ("latestVersion",)
    renames = {
        "name": "LaunchTemplateName",
        "description": "VersionDescription",
        "vpcSecurityGroupIds": "SecurityGroupIds",
        "securityGroupNames": "SecurityGroups",
        "securityGroups": "Groups",  # of a network interface
    }

    def data(self, inputs):
        operation, member = "CreateLaunchTemplate", "LaunchTemplateData"
        return given("ec2", operation, inputs, self.renames, member)

    def create(self, inputs):
        own = {key: inputs[key] for key in ("name", "description") if key in inputs}
        more = {**self.tags(inputs), "LaunchTemplateData": self.data(inputs)}
        made = call("ec2", "CreateLaunchTemplate", own, self.renames, **more)
        return made["LaunchTemplate"]["LaunchTemplateId"]

    def settle(self, ident, old, new):
        super().settle(ident, old, new)
        if not old or self.data(old) == self.data(new):
            return
        operation, data = (
            "CreateLaunchTemplateVersion",
            {"LaunchTemplateData": self.data(new)},
        )
        own = {key: new[key] for key in ("description",) if key in new}
        made = call("ec2", operation, own, self.renames, LaunchTemplateId=ident, **data)
        version = str(made["LaunchTemplateVersion"]["VersionNumber"])
        if new.get("updateDefaultVersion"):
            ec2().modify_launch_template(LaunchTemplateId=ident, DefaultVersion=version)

    def more(self, ident, live):
        tags = ec2().describe_tags(Filters=where(resource_id=ident))["Tags"]
        return {
            # moto's description of a template always contains the tags at its creation.
            "tagsAll": tags_of({"Tags": tags}),
            "name": live["LaunchTemplateName"],
            "latestVersion": live["LatestVersionNumber"],
            "defaultVersion": live["DefaultVersionNumber"],
        }


class VpcIpv4CidrBlockAssociation(Type):
    replace = ("cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength", "vpcId")

    def create(self, inputs):
        made = call("ec2", "AssociateVpcCidrBlock", inputs)
        return made["CidrBlockAssociation"]["AssociationId"]

    def outputs(self, ident, inputs):
        filters = where(**{"cidr-block-association.association-id": ident})
        vpc = first(ec2().describe_vpcs(Filters=filters)["Vpcs"], ident)
        blocks = vpc["CidrBlockAssociationSet"]
        live = first(
            [block for block in blocks if block["AssociationId"] == ident], ident
        )
        return {"cidrBlock": live["CidrBlock"], "vpcId": vpc["VpcId"]}

    def delete(self, ident, state):
        ec2().disassociate_vpc_cidr_block(AssociationId=ident)


class FlowLog(Ec2):
    noun, tagged = "FlowLogs", "vpc-flow-log"
    renames = {"iamRoleArn": "DeliverLogsPermissionArn"}
    watched = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
    replace = (
        *watched,
        *("iamRoleArn", "logDestination", "logDestinationType", "logFormat"),
        *("maxAggregationInterval", "trafficType", "destinationOptions"),
    )

    def create(self, inputs):
        name = next(name for name in self.watched if inputs.get(name))
        made = call(
            "ec2",
            "CreateFlowLogs",
            {"logDestinationType": "cloud-watch-logs", **inputs},
            self.renames,
            ResourceIds=[inputs[name]],
            ResourceType=self.watched[name],
            **self.tags(inputs),
        )
        return made["FlowLogIds"][0]

    def describe(self, ident):
        return first(ec2().describe_flow_logs(FlowLogIds=[ident])["FlowLogs"], ident)

    def delete(self, ident, state):
        ec2().delete_flow_logs(FlowLogIds=[ident])
