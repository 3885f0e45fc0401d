"""Resources in an EKS cluster that are only recorded, as moto has no API for them."""

from awsfake import records
from awsfake.eks import setting
from awsfake.iam import need_role
from awsfake.kinds import Recorded
from awsfake.versions import ADDONS
from awsfake.wire import (
    Refused,
    account,
    arn,
    changed,
    is_gone,
)


def in_cluster(inputs):
    """Refuse a resource in a cluster that does not exist."""
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
