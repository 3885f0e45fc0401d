"""Security groups and their rules."""

from awsfake.ec2 import Ec2, ec2, interfaces, refuse_while, retag
from awsfake.kinds import Type
from awsfake.wire import (
    arn,
    call,
    camel,
    first,
    pascal,
    tag_list,
    tags_of,
    where,
)


class SecurityGroup(Ec2):
    """A security group; like the real provider, it removes the rule that EC2 adds."""

    noun, tagged, autoname = "SecurityGroup", "security-group", "name"
    renames, read = {"name": "GroupName"}, ("description", "vpcId")
    replace = ("name", "namePrefix", "description", "vpcId")
    refused = ("ingress", "egress")  # the rules must be separate resources

    def create(self, inputs):
        inputs = {"description": "Managed by Pulumi", **inputs}
        tags = self.tags(inputs)
        made = call("ec2", "CreateSecurityGroup", inputs, self.renames, **tags)
        strip(made["GroupId"])
        return made["GroupId"]

    def describe(self, ident):
        return group(ident)

    def more(self, ident, live):
        return {"name": live["GroupName"]}

    def delete(self, ident, state):
        refuse_while(ident, interfaces(group_id=ident), "NetworkInterfaceId")
        rules = ec2().describe_security_group_rules()["SecurityGroupRules"]
        pointing = [
            rule
            for rule in rules
            if rule.get("ReferencedGroupInfo", {}).get("GroupId") == ident
            and rule["GroupId"] != ident
        ]
        refuse_while(ident, pointing, "SecurityGroupRuleId")
        ec2().delete_security_group(GroupId=ident)


def group(ident):
    found = ec2().describe_security_groups(GroupIds=[ident])
    return first(found["SecurityGroups"], ident)


def default_group(vpc):
    filters = where(vpc_id=vpc, group_name="default")
    found = ec2().describe_security_groups(Filters=filters)
    return first(found["SecurityGroups"], f"the default group of {vpc}")["GroupId"]


def strip(ident):
    """Remove all rules of a security group."""
    live = group(ident)
    for way, rules in (("ingress", ""), ("egress", "Egress")):
        if permissions := live[f"IpPermissions{rules}"]:
            revoke = getattr(ec2(), f"revoke_security_group_{way}")
            revoke(GroupId=ident, IpPermissions=permissions)


class DefaultSecurityGroup(SecurityGroup):
    """A VPC's default group: it is adopted, and its rules are removed.

    As in the real provider, a deletion only removes it from the state.
    """

    autoname, replace = None, ("vpcId",)

    def create(self, inputs):
        ident = default_group(inputs["vpcId"])
        strip(ident)
        retag(ident, {}, inputs)
        return ident

    def delete(self, ident, state):
        pass


class SecurityGroupRule(Type):
    """One rule of a security group; `way` is ingress or egress."""

    replace = ("securityGroupId",)
    renames = {"referencedSecurityGroupId": "ReferencedGroupId"}
    sources = {
        "cidrIpv4": ("IpRanges", "CidrIp"),
        "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
        "prefixListId": ("PrefixListIds", "PrefixListId"),
        "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    }

    def __init__(self, way):
        self.way = way

    def create(self, inputs):
        tags = tag_list(inputs.get("tags"))
        kind = "security-group-rule"
        made = getattr(ec2(), f"authorize_security_group_{self.way}")(
            GroupId=inputs["securityGroupId"],
            IpPermissions=[self.permission(inputs)],
            TagSpecifications=[{"ResourceType": kind, "Tags": tags}] if tags else [],
        )
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def permission(self, inputs):
        plain = ("ipProtocol", "fromPort", "toPort")
        wire = {pascal(name): inputs[name] for name in plain if name in inputs}
        text = inputs.get("description")
        words = {"Description": text} if text else {}
        for name, (member, key) in self.sources.items():
            if inputs.get(name):
                wire[member] = [{key: inputs[name], **words}]
        return wire

    def settle(self, ident, old, new):
        if not old:
            return
        retag(ident, old, new)
        if self.flat(old) != self.flat(new):
            ec2().modify_security_group_rules(
                GroupId=new["securityGroupId"],
                SecurityGroupRules=[
                    {"SecurityGroupRuleId": ident, "SecurityGroupRule": self.flat(new)}
                ],
            )

    def flat(self, inputs):
        names = ("ipProtocol", "fromPort", "toPort", "description", *self.sources)
        return {
            pascal(self.renames.get(name, name)): inputs[name]
            for name in names
            if inputs.get(name) is not None
        }

    def outputs(self, ident, inputs):
        found = ec2().describe_security_group_rules(SecurityGroupRuleIds=[ident])
        live = first(found["SecurityGroupRules"], ident)
        flat = camel({key: value for key, value in live.items() if key != "Tags"})
        referenced = live.get("ReferencedGroupInfo", {}).get("GroupId")
        return {
            **{name: flat[name] for name in inputs if name in flat},
            **({"referencedSecurityGroupId": referenced} if referenced else {}),
            "arn": arn("ec2", f"security-group-rule/{ident}"),
            "securityGroupRuleId": ident,
            "tagsAll": tags_of(live),
        }

    def delete(self, ident, state):
        revoke = getattr(ec2(), f"revoke_security_group_{self.way}")
        revoke(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[ident])
