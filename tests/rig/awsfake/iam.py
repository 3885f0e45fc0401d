"""Roles and policies. ARNs in IAM have no region."""

import contextlib

from awsfake import records
from awsfake.kinds import Type
from awsfake.wire import api, call, changed, difference, tag_list, tags_of

# AWS's managed policies, which moto loads only on request.
PREINSTALLED = ":aws:policy/"


def iam():
    return api("iam")


def retag(noun, old, new, **which):
    """Change the tags of a Role or a Policy from those of OLD to those of NEW."""
    gone, put = difference(old.get("tags"), new.get("tags"))
    if gone:
        getattr(iam(), f"untag_{noun}")(TagKeys=gone, **which)
    if put:
        getattr(iam(), f"tag_{noun}")(Tags=tag_list(put), **which)


def need_role(arn):
    """Refuse the ARN of a missing role, as most AWS services do."""
    iam().get_role(RoleName=arn.rpartition("/")[2])


class Role(Type):
    autoname, replace = "name", ("name", "namePrefix", "path")
    # Deprecated, because they conflict with policies that are separate resources.
    refused = ("inlinePolicies", "managedPolicyArns")
    renames = {"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"}

    def create(self, inputs):
        call("iam", "CreateRole", inputs, self.renames)
        return inputs["name"]

    def settle(self, ident, old, new):
        if not old:
            return
        retag("role", old, new, RoleName=ident)
        if changed(old, new, "assumeRolePolicy"):
            policy = {"PolicyDocument": new["assumeRolePolicy"]}
            iam().update_assume_role_policy(RoleName=ident, **policy)
        if changed(old, new, "description", "maxSessionDuration"):
            call("iam", "UpdateRole", {**new, "name": ident}, self.renames)

    def outputs(self, ident, inputs):
        role = iam().get_role(RoleName=ident)["Role"]
        return {
            "arn": role["Arn"],
            "uniqueId": role["RoleId"],
            "name": ident,
            "path": role["Path"],
            "tagsAll": tags_of(role),
        }

    def delete(self, ident, state):
        iam().delete_role(RoleName=ident)


class RolePolicy(Type):
    """An inline policy. As in the real provider, creation replaces an existing one."""

    autoname, replace = "name", ("name", "namePrefix", "role")
    renames = {"name": "PolicyName", "role": "RoleName", "policy": "PolicyDocument"}

    def create(self, inputs):
        return f"{inputs['role']}:{inputs['name']}"

    def settle(self, ident, old, new):
        role, name = ident.split(":")
        named = {**new, "role": role, "name": name}
        call("iam", "PutRolePolicy", named, self.renames)

    def outputs(self, ident, inputs):
        role, name = ident.split(":")
        iam().get_role_policy(RoleName=role, PolicyName=name)
        return {"name": name, "role": role}

    def delete(self, ident, state):
        role, name = ident.split(":")
        iam().delete_role_policy(RoleName=role, PolicyName=name)


class RolePolicyAttachment(Type):
    """An attachment; it is only recorded for AWS's managed policies that moto lacks."""

    replace = ("role", "policyArn")

    def create(self, inputs):
        ident = f"{inputs['role']}/{inputs['policyArn']}"
        iam().get_role(RoleName=inputs["role"])
        try:
            iam().get_policy(PolicyArn=inputs["policyArn"])
        except iam().exceptions.NoSuchEntityException:
            if PREINSTALLED not in inputs["policyArn"]:
                raise
            records.write("iam-attachment", ident, {})
            return ident
        iam().attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return ident

    def outputs(self, ident, inputs):
        role, _, policy = ident.partition("/")
        attached = iam().list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        if not any(each["PolicyArn"] == policy for each in attached):
            records.read("iam-attachment", ident)
        return {"role": role, "policyArn": policy}

    def delete(self, ident, state):
        role, _, policy = ident.partition("/")
        with contextlib.suppress(iam().exceptions.NoSuchEntityException):
            iam().detach_role_policy(RoleName=role, PolicyArn=policy)
            return
        records.remove("iam-attachment", ident)


class Policy(Type):
    autoname, replace = "name", ("name", "namePrefix", "path", "description")
    renames = {"name": "PolicyName", "policy": "PolicyDocument"}

    def create(self, inputs):
        return call("iam", "CreatePolicy", inputs, self.renames)["Policy"]["Arn"]

    def settle(self, ident, old, new):
        if not old:
            return
        retag("policy", old, new, PolicyArn=ident)
        if changed(old, new, "policy"):  # IAM keeps only five versions: delete the last
            last = iam().get_policy(PolicyArn=ident)["Policy"]["DefaultVersionId"]
            call(
                "iam",
                "CreatePolicyVersion",
                {"PolicyArn": ident, "policyDocument": new["policy"]},
                SetAsDefault=True,
            )
            iam().delete_policy_version(PolicyArn=ident, VersionId=last)

    def outputs(self, ident, inputs):
        policy = iam().get_policy(PolicyArn=ident)["Policy"]
        return {
            "arn": ident,
            "name": policy["PolicyName"],
            "policyId": policy["PolicyId"],
            "attachmentCount": policy["AttachmentCount"],
            "tagsAll": tags_of(policy),
        }

    def delete(self, ident, state):
        iam().delete_policy(PolicyArn=ident)
