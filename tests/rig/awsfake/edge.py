"""Certificates, DNS records, budgets and tags of Auto Scaling groups."""

import time

from awsfake.kinds import Type
from awsfake.wire import (
    Refused,
    account,
    api,
    call,
    difference,
    first,
    tag_list,
    tags_of,
    where,
)


class AutoScalingTag(Type):
    replace = ("autoscalingGroupName", "tag.key")

    @staticmethod
    def put(inputs):
        tag = inputs["tag"]
        return {
            "ResourceId": inputs["autoscalingGroupName"],
            "ResourceType": "auto-scaling-group",
            "Key": tag["key"],
            "Value": tag["value"],
            "PropagateAtLaunch": tag["propagateAtLaunch"],
        }

    def create(self, inputs):
        return f"{inputs['autoscalingGroupName']},{inputs['tag']['key']}"

    def settle(self, ident, old, new):
        api("autoscaling").create_or_update_tags(Tags=[self.put(new)])

    def outputs(self, ident, inputs):
        group, _, key = ident.partition(",")
        filters = where(**{"auto-scaling-group": group, "key": key})
        tag = first(api("autoscaling").describe_tags(Filters=filters)["Tags"], ident)
        names = {
            "key": "Key",
            "value": "Value",
            "propagateAtLaunch": "PropagateAtLaunch",
        }
        return {
            "autoscalingGroupName": group,
            "tag": {name: tag[member] for name, member in names.items()},
        }

    def delete(self, ident, state):
        api("autoscaling").delete_tags(Tags=[self.put(state)])


class Certificate(Type):
    replace = (
        *("certificateAuthorityArn", "domainName", "keyAlgorithm"),
        *("subjectAlternativeNames", "validationMethod", "validationOptions"),
    )
    refused = ("certificateBody", "privateKey", "certificateChain")

    def create(self, inputs):
        return call("acm", "RequestCertificate", inputs)["CertificateArn"]

    def settle(self, ident, old, new):
        gone, put = difference(old.get("tags"), new.get("tags"))
        if old and gone:
            tags = [{"Key": key} for key in gone]
            api("acm").remove_tags_from_certificate(CertificateArn=ident, Tags=tags)
        if old and put:
            tags = tag_list(put)
            api("acm").add_tags_to_certificate(CertificateArn=ident, Tags=tags)

    def outputs(self, ident, inputs):
        live = api("acm").describe_certificate(CertificateArn=ident)["Certificate"]
        return {
            "arn": ident,
            "domainName": live["DomainName"],
            "status": live["Status"],
            "domainValidationOptions": [
                {
                    "domainName": option["DomainName"],
                    "resourceRecordName": record["Name"],
                    "resourceRecordType": record["Type"],
                    "resourceRecordValue": record["Value"],
                }
                for option in live.get("DomainValidationOptions", [])
                if (record := option.get("ResourceRecord"))
            ],
            "tagsAll": tags_of(
                api("acm").list_tags_for_certificate(CertificateArn=ident)
            ),
        }

    def delete(self, ident, state):
        api("acm").delete_certificate(CertificateArn=ident)


class CertificateValidation(Type):
    """A type without a resource in AWS: it requires a certificate's DNS records."""

    replace = ("certificateArn", "validationRecordFqdns")

    def create(self, inputs):
        options = Certificate().outputs(inputs["certificateArn"], {})
        wanted = {
            option["resourceRecordName"]
            for option in options["domainValidationOptions"]
        }
        if missing := {name.rstrip(".") for name in wanted} - set(names_in_dns()):
            raise Refused(
                "timeout while waiting for state to become 'ISSUED' (last state: "
                f"'PENDING_VALIDATION'): no record {', '.join(sorted(missing))}"
            )
        return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime())

    def outputs(self, ident, inputs):
        Certificate().outputs(inputs["certificateArn"], {})
        return {"certificateArn": inputs["certificateArn"]}

    def delete(self, ident, state):
        pass


def names_in_dns():
    dns = api("route53")
    for zone in dns.list_hosted_zones()["HostedZones"]:
        found = dns.list_resource_record_sets(HostedZoneId=zone["Id"])
        yield from (each["Name"].rstrip(".") for each in found["ResourceRecordSets"])


class Record(Type):
    replace = ("zoneId", "name", "type", "setIdentifier")
    refused = ("weightedRoutingPolicies", "latencyRoutingPolicies", "cidrRoutingPolicy")
    refused += ("failoverRoutingPolicies", "geolocationRoutingPolicies")

    @staticmethod
    def record(inputs):
        record = {"Name": inputs["name"], "Type": inputs["type"]}
        if aliases := inputs.get("aliases"):
            record["AliasTarget"] = {
                "DNSName": aliases[0]["name"],
                "HostedZoneId": aliases[0]["zoneId"],
                "EvaluateTargetHealth": aliases[0]["evaluateTargetHealth"],
            }
        else:
            values = [{"Value": value} for value in inputs["records"]]
            record |= {"TTL": inputs["ttl"], "ResourceRecords": values}
        return record

    def change(self, action, inputs):
        change = {"Action": action, "ResourceRecordSet": self.record(inputs)}
        api("route53").change_resource_record_sets(
            HostedZoneId=inputs["zoneId"], ChangeBatch={"Changes": [change]}
        )

    def create(self, inputs):
        self.change("UPSERT" if inputs.get("allowOverwrite") else "CREATE", inputs)
        return f"{inputs['zoneId']}_{inputs['name']}_{inputs['type']}"

    def settle(self, ident, old, new):
        if old:
            self.change("UPSERT", new)

    def outputs(self, ident, inputs):
        zone, rest = ident.split("_", 1)
        name, _, kind = rest.rpartition("_")
        found = api("route53").list_resource_record_sets(HostedZoneId=zone)
        live = first(
            [
                each
                for each in found["ResourceRecordSets"]
                if each["Name"].rstrip(".") == name.rstrip(".") and each["Type"] == kind
            ],
            ident,
        )
        values = [each["Value"] for each in live.get("ResourceRecords", [])]
        ttl = {"ttl": live["TTL"]} if "TTL" in live else {}
        return {"fqdn": name, **({"records": values} if values else {}), **ttl}

    def delete(self, ident, state):
        self.change("DELETE", state)


class Budget(Type):
    autoname, replace = "name", ("name", "namePrefix", "accountId")
    refused = ("plannedLimits", "filterExpression", "autoAdjustData")

    def create(self, inputs):
        return f"{inputs.get('accountId') or account()}:{inputs['name']}"

    def settle(self, ident, old, new):
        """Create the budget; to update it, recreate it, as moto has no UpdateBudget."""
        if old:
            self.delete(ident, old)
        owner, name = ident.split(":")
        filters = {
            each["name"]: each["values"] for each in new.get("costFilters") or []
        }
        api("budgets").create_budget(
            AccountId=owner,
            Budget={
                "BudgetName": name,
                "BudgetType": new["budgetType"],
                "TimeUnit": new["timeUnit"],
                "BudgetLimit": {
                    "Amount": str(new["limitAmount"]),
                    "Unit": new["limitUnit"],
                },
                "CostFilters": filters,
            },
            NotificationsWithSubscribers=[
                self.notification(each) for each in new.get("notifications") or []
            ],
        )

    @staticmethod
    def notification(inputs):
        kinds = {"EMAIL": "subscriberEmailAddresses", "SNS": "subscriberSnsTopicArns"}
        return {
            "Notification": {
                "NotificationType": inputs["notificationType"],
                "ComparisonOperator": inputs["comparisonOperator"],
                "Threshold": inputs["threshold"],
                "ThresholdType": inputs["thresholdType"],
            },
            "Subscribers": [
                {"SubscriptionType": kind, "Address": address}
                for kind, name in kinds.items()
                for address in inputs.get(name) or []
            ],
        }

    def outputs(self, ident, inputs):
        owner, name = ident.split(":")
        live = api("budgets").describe_budget(AccountId=owner, BudgetName=name)[
            "Budget"
        ]
        limit = live["BudgetLimit"]
        return {
            "accountId": owner,
            "arn": f"arn:aws:budgets::{owner}:budget/{name}",
            "name": name,
            "limitAmount": limit["Amount"],
            "limitUnit": limit["Unit"],
        }

    def delete(self, ident, state):
        owner, name = ident.split(":")
        api("budgets").delete_budget(AccountId=owner, BudgetName=name)
