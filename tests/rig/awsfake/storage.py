"""Keys, log groups, buckets and their settings, and ElastiCache."""

from awsfake.kinds import Recorded, Type
from awsfake.wire import (
    Refused,
    api,
    arn,
    call,
    changed,
    difference,
    first,
    given,
    region,
    tag_list,
)


class Key(Type):
    replace = ("customerMasterKeySpec", "keyUsage", "multiRegion", "customKeyStoreId")

    def create(self, inputs):
        return call("kms", "CreateKey", inputs)["KeyMetadata"]["KeyId"]

    def settle(self, ident, old, new):
        kms, rotation = api("kms"), "enableKeyRotation"
        if bool(old.get(rotation)) != bool(new.get(rotation)):
            turn = (
                kms.enable_key_rotation if new[rotation] else kms.disable_key_rotation
            )
            turn(KeyId=ident)
        if not old:
            return
        if changed(old, new, "description"):
            kms.update_key_description(
                KeyId=ident, Description=new.get("description", "")
            )
        if changed(old, new, "policy"):
            kms.put_key_policy(KeyId=ident, Policy=new["policy"], PolicyName="default")
        gone, put = difference(old.get("tags"), new.get("tags"))
        if gone:
            kms.untag_resource(KeyId=ident, TagKeys=gone)
        if put:
            tags = [{"TagKey": key, "TagValue": value} for key, value in put.items()]
            kms.tag_resource(KeyId=ident, Tags=tags)

    def outputs(self, ident, inputs):
        kms = api("kms")
        key = kms.describe_key(KeyId=ident)["KeyMetadata"]
        first([key] if key["KeyState"] != "PendingDeletion" else [], ident)
        listed = kms.list_resource_tags(KeyId=ident)["Tags"]
        return {
            "arn": key["Arn"],
            "keyId": ident,
            "enableKeyRotation": kms.get_key_rotation_status(KeyId=ident)[
                "KeyRotationEnabled"
            ],
            "tagsAll": {tag["TagKey"]: tag["TagValue"] for tag in listed},
        }

    def delete(self, ident, state):
        days = state.get("deletionWindowInDays") or 30
        api("kms").schedule_key_deletion(KeyId=ident, PendingWindowInDays=days)


class Alias(Type):
    autoname, replace = "name", ("name", "namePrefix")
    prefix = "alias/"

    def create(self, inputs):
        call("kms", "CreateAlias", inputs, {"name": "AliasName"})
        return inputs["name"]

    def settle(self, ident, old, new):
        if old:
            call("kms", "UpdateAlias", {**new, "name": ident}, {"name": "AliasName"})

    def outputs(self, ident, inputs):
        aliases = api("kms").list_aliases()["Aliases"]
        live = first([alias for alias in aliases if alias["AliasName"] == ident], ident)
        key = api("kms").describe_key(KeyId=live["TargetKeyId"])["KeyMetadata"]
        return {"arn": live["AliasArn"], "name": ident, "targetKeyArn": key["Arn"]}

    def delete(self, ident, state):
        api("kms").delete_alias(AliasName=ident)


class LogGroup(Type):
    autoname, replace = "name", ("name", "namePrefix", "logGroupClass")

    def create(self, inputs):
        call("logs", "CreateLogGroup", inputs, {"name": "logGroupName"})
        return inputs["name"]

    def settle(self, ident, old, new):
        logs = api("logs")
        if old and changed(old, new, "kmsKeyId"):
            raise Refused("the double cannot change the key of a log group")
        if changed(old, new, "retentionInDays"):
            if days := new.get("retentionInDays"):
                logs.put_retention_policy(logGroupName=ident, retentionInDays=days)
            else:
                logs.delete_retention_policy(logGroupName=ident)
        gone, put = difference(old.get("tags"), new.get("tags"))
        if old and gone:
            logs.untag_log_group(logGroupName=ident, tags=gone)
        if old and put:
            logs.tag_log_group(logGroupName=ident, tags=put)

    def outputs(self, ident, inputs):
        found = api("logs").describe_log_groups(logGroupNamePrefix=ident)["logGroups"]
        live = first(
            [group for group in found if group["logGroupName"] == ident], ident
        )
        tags = api("logs").list_tags_log_group(logGroupName=ident)["tags"]
        return {
            "arn": live["arn"].removesuffix(":*"),
            "name": ident,
            "retentionInDays": live.get("retentionInDays", 0),
            "kmsKeyId": live.get("kmsKeyId", ""),
            "tagsAll": tags,
        }

    def delete(self, ident, state):
        if not state.get("skipDestroy"):
            api("logs").delete_log_group(logGroupName=ident)


class Bucket(Type):
    autoname, replace = "bucket", ("bucket", "bucketPrefix", "objectLockEnabled")
    refused = ("acl", "corsRules", "grants", "lifecycleRules", "logging", "policy")
    refused += ("serverSideEncryptionConfiguration", "versioning", "website")

    def create(self, inputs):
        place = {"LocationConstraint": region()}
        elsewhere = (
            {} if region() == "us-east-1" else {"CreateBucketConfiguration": place}
        )
        call("s3", "CreateBucket", {"bucket": inputs["bucket"]}, **elsewhere)
        return inputs["bucket"]

    def settle(self, ident, old, new):
        if changed(old, new, "tags"):
            tags = {"TagSet": tag_list(new.get("tags"))}
            api("s3").put_bucket_tagging(Bucket=ident, Tagging=tags)

    def outputs(self, ident, inputs):
        s3 = api("s3")
        s3.head_bucket(Bucket=ident)
        tags = {}
        try:
            for tag in s3.get_bucket_tagging(Bucket=ident)["TagSet"]:
                tags[tag["Key"]] = tag["Value"]
        except s3.exceptions.ClientError:  # NoSuchTagSet
            pass
        return {
            "arn": f"arn:aws:s3:::{ident}",
            "bucket": ident,
            "bucketDomainName": f"{ident}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{ident}.s3.{region()}.amazonaws.com",
            "tagsAll": tags,
        }

    def delete(self, ident, state):
        s3 = api("s3")
        if state.get("forceDestroy"):
            found = s3.list_object_versions(Bucket=ident)
            for item in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
                s3.delete_object(
                    Bucket=ident, Key=item["Key"], VersionId=item["VersionId"]
                )
        s3.delete_bucket(Bucket=ident)


class OnBucket(Type):
    """A setting of a bucket, which is put and deleted by calls named after it."""

    replace = ("bucket", "expectedBucketOwner")
    renames = {
        "rule": "Rules",
        "id": "ID",
        "applyServerSideEncryptionByDefaults": "ApplyServerSideEncryptionByDefault",
    }

    def __init__(self, noun, member, removed=None):
        """Initialize the type.

        Args:
            noun: The noun in the name of the call Put….
            member: The parameter of that call.
            removed: The noun in the name of the call Delete…, if it is different.
        """
        self.noun, self.member, self.removed = noun, member, removed or noun

    def create(self, inputs):
        return inputs["bucket"]

    def settle(self, ident, old, new):
        operation = f"Put{self.noun}"
        value = given("s3", operation, new, self.renames, self.member)
        call("s3", operation, {"bucket": ident}, **{self.member: value})

    def outputs(self, ident, inputs):
        call("s3", f"Get{self.noun}", {"bucket": ident})
        return {"bucket": ident}

    def delete(self, ident, state):
        call("s3", f"Delete{self.removed}", {"bucket": ident})


class BucketVersioning(OnBucket):
    """The versioning of a bucket, which can only be suspended, not deleted."""

    def settle(self, ident, old, new):
        new = {**new, **new["versioningConfiguration"]}
        super().settle(ident, old, new)

    def delete(self, ident, state):
        value = {"Status": "Suspended"}
        api("s3").put_bucket_versioning(Bucket=ident, VersioningConfiguration=value)


class BucketPolicy(OnBucket):
    def settle(self, ident, old, new):
        call("s3", "PutBucketPolicy", {"bucket": ident, "policy": new["policy"]})


class ReplicationGroup(Type):
    autoname = "replicationGroupId"
    replace = (
        *("replicationGroupId", "subnetGroupName", "atRestEncryptionEnabled"),
        *("kmsKeyId", "port", "snapshotArns", "snapshotName", "dataTieringEnabled"),
        *("preferredCacheClusterAzs", "networkType", "globalReplicationGroupId"),
    )
    renames = {
        "description": "ReplicationGroupDescription",
        "nodeType": "CacheNodeType",
        "parameterGroupName": "CacheParameterGroupName",
        "subnetGroupName": "CacheSubnetGroupName",
        "maintenanceWindow": "PreferredMaintenanceWindow",
        "nodeGroupConfigurations": "NodeGroupConfiguration",
        "securityGroupNames": "CacheSecurityGroupNames",
    }

    def create(self, inputs):
        if (
            inputs.get("automaticFailoverEnabled")
            and inputs.get("numCacheClusters", 2) < 2
        ):
            raise Refused("automatic failover needs numCacheClusters of at least 2")
        if inputs.get("authToken") and not inputs.get("transitEncryptionEnabled"):
            raise Refused(
                "InvalidParameterCombination: AuthToken needs encryption in transit"
            )
        call("elasticache", "CreateReplicationGroup", inputs, self.renames)
        return inputs["replicationGroupId"]

    def settle(self, ident, old, new):
        if not old:
            return
        call("elasticache", "ModifyReplicationGroup", new, self.renames)
        cache, name = api("elasticache"), self.outputs(ident, new)["arn"]
        gone, put = difference(old.get("tags"), new.get("tags"))
        if gone:
            cache.remove_tags_from_resource(ResourceName=name, TagKeys=gone)
        if put:
            cache.add_tags_to_resource(ResourceName=name, Tags=tag_list(put))

    def outputs(self, ident, inputs):
        cache = api("elasticache")
        found = cache.describe_replication_groups(ReplicationGroupId=ident)
        live = found["ReplicationGroups"][0]
        first([live] if live["Status"] != "deleting" else [], ident)
        nodes = live["NodeGroups"][0]
        return {
            "arn": live["ARN"],
            "replicationGroupId": ident,
            "primaryEndpointAddress": nodes.get("PrimaryEndpoint", {}).get(
                "Address", ""
            ),
            "readerEndpointAddress": nodes.get("ReaderEndpoint", {}).get("Address", ""),
            "configurationEndpointAddress": live.get("ConfigurationEndpoint", {}).get(
                "Address", ""
            ),
            "memberClusters": live.get("MemberClusters") or [],
            "port": nodes.get("PrimaryEndpoint", {}).get("Port", 6379),
        }

    def delete(self, ident, state):
        api("elasticache").delete_replication_group(ReplicationGroupId=ident)


def named(kind, word, *replace):
    """Return a recorded type of ElastiCache that consists of a name and settings."""
    return Recorded(
        f"elasticache-{kind}",
        "{name}",
        autoname="name",
        replace=("name", *replace),
        made=lambda inputs, _: {
            "arn": arn("elasticache", f"{word}:{inputs['name']}"),
            "name": inputs["name"],
            "description": "Managed by Pulumi",
        },
    )


SUBNET_GROUP = named("subnet-group", "subnetgroup")
PARAMETER_GROUP = named("parameter-group", "parametergroup", "family", "description")
