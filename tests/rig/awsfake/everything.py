"""Programs for tests of the double: one with all types, and a small one."""

import json

import pulumi
import pulumi_aws as aws

DOMAIN = "models.example.com"


def policy(service=None, action="s3:GetObject"):
    statement = {"Effect": "Allow", "Action": action}
    who = {"Principal": {"Service": service}} if service else {"Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **who}]})


TRUST = policy("ec2.amazonaws.com", "sts:AssumeRole")


def network(cidrs):
    vpc = aws.ec2.Vpc(
        "vpc",
        cidr_block="10.0.0.0/16",
        enable_dns_hostnames=True,
        enable_dns_support=True,
        tags={"Name": "double"},
    )
    aws.ec2.VpcIpv4CidrBlockAssociation(
        "more", vpc_id=vpc.id, cidr_block="100.64.0.0/16"
    )
    aws.ec2.DefaultSecurityGroup("closed", vpc_id=vpc.id)
    gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
    zones = aws.get_availability_zones(state="available").names
    subnets = [
        aws.ec2.Subnet(
            f"subnet-{i}",
            vpc_id=vpc.id,
            cidr_block=f"10.0.{i}.0/24",
            availability_zone=zones[i % 2],
            map_public_ip_on_launch=i < 2,
            tags={"kubernetes.io/role/elb": "1"},
        )
        for i in range(4)
    ]
    public, private = subnets[:2], subnets[2:]
    address = aws.ec2.Eip("address", domain="vpc")
    nat = aws.ec2.NatGateway(
        "nat",
        allocation_id=address.allocation_id,
        subnet_id=public[0].id,
        opts=pulumi.ResourceOptions(depends_on=[gateway]),
    )
    ways = [
        route_table("public", vpc, public, gateway_id=gateway.id),
        route_table("private", vpc, private, nat_gateway_id=nat.id),
    ]
    group = aws.ec2.SecurityGroup("redis", vpc_id=vpc.id, description="GCS storage")
    aws.vpc.SecurityGroupIngressRule(
        "redis-in",
        security_group_id=group.id,
        referenced_security_group_id=group.id,
        ip_protocol="tcp",
        from_port=6379,
        to_port=6379,
    )
    aws.vpc.SecurityGroupIngressRule(
        "office",
        security_group_id=group.id,
        cidr_ipv4=cidrs,
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        description="office",
    )
    aws.vpc.SecurityGroupEgressRule(
        "out", security_group_id=group.id, cidr_ipv4="0.0.0.0/0", ip_protocol="-1"
    )
    region = aws.get_region().region
    aws.ec2.VpcEndpoint(
        "s3",
        vpc_id=vpc.id,
        service_name=f"com.amazonaws.{region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=[way[0].id for way in ways],
    )
    aws.ec2.VpcEndpoint(
        "ecr",
        vpc_id=vpc.id,
        service_name=f"com.amazonaws.{region}.ecr.api",
        vpc_endpoint_type="Interface",
        subnet_ids=[subnet.id for subnet in private],
        security_group_ids=[group.id],
        private_dns_enabled=True,
    )
    ready = [item for way in ways for item in way]
    return vpc, private, group, ready


def route_table(name, vpc, subnets, **target):
    table = aws.ec2.RouteTable(name, vpc_id=vpc.id)
    route = aws.ec2.Route(
        name, route_table_id=table.id, destination_cidr_block="0.0.0.0/0", **target
    )
    associations = [
        aws.ec2.RouteTableAssociation(
            f"{name}-{i}", route_table_id=table.id, subnet_id=subnet.id
        )
        for i, subnet in enumerate(subnets)
    ]
    return [table, route, *associations]


def roles():
    role = aws.iam.Role("node", assume_role_policy=TRUST, tags={"for": "nodes"})
    aws.iam.RolePolicy("inline", role=role.name, policy=policy())
    own = aws.iam.Policy("models", policy=policy(action="s3:ListBucket"))
    attached = [
        aws.iam.RolePolicyAttachment(name, role=role.name, policy_arn=arn)
        for name, arn in (
            ("own", own.arn),
            ("eks", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"),
        )
    ]
    return role, attached


def keys_and_logs(vpc, role, days):
    key = aws.kms.Key("key", enable_key_rotation=True, deletion_window_in_days=7)
    aws.kms.Alias("key", name="alias/double", target_key_id=key.key_id)
    aws.kms.Alias("prefixed", name_prefix="alias/double-", target_key_id=key.key_id)
    logs = aws.cloudwatch.LogGroup(
        "logs",
        name="/aws/eks/double/cluster",
        retention_in_days=days,
        kms_key_id=key.arn,
    )
    flows = aws.cloudwatch.LogGroup("flows", retention_in_days=1)
    aws.ec2.FlowLog(
        "flows",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination=flows.arn,
        iam_role_arn=role.arn,
    )
    return key, logs


def cluster(role, subnets, key, version, after):
    made = aws.eks.Cluster(
        "double",
        name="double",
        role_arn=role.arn,
        version=version,
        vpc_config={
            "subnet_ids": [subnet.id for subnet in subnets],
            "endpoint_private_access": True,
            "endpoint_public_access": True,
            "public_access_cidrs": ["192.0.2.0/24"],
        },
        access_config={
            "authentication_mode": "API",
            "bootstrap_cluster_creator_admin_permissions": True,
        },
        bootstrap_self_managed_addons=False,
        enabled_cluster_log_types=["api", "audit"],
        encryption_config={
            "resources": ["secrets"],
            "provider": {"key_arn": key.arn},
        },
        upgrade_policy={"support_type": "STANDARD"},
        kube_scheduler_config={
            "node_resources_fit": {
                "scoring_strategy": {
                    "type": "MostAllocated",
                    "resources": [{"name": "nvidia.com/gpu", "weight": 5}],
                }
            }
        },
        opts=pulumi.ResourceOptions(depends_on=after),
    )
    entry = aws.eks.AccessEntry(
        "node", cluster_name=made.name, principal_arn=role.arn, type="STANDARD"
    )
    aws.eks.AccessPolicyAssociation(
        "node",
        cluster_name=made.name,
        principal_arn=entry.principal_arn,
        policy_arn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
        access_scope={"type": "namespace", "namespaces": ["ray"]},
    )
    aws.eks.PodIdentityAssociation(
        "ray",
        cluster_name=made.name,
        namespace="ray",
        service_account="ray-worker",
        role_arn=role.arn,
    )
    latest = aws.eks.get_addon_version_output(
        addon_name="vpc-cni", kubernetes_version=made.version, most_recent=True
    )
    aws.eks.Addon(
        "vpc-cni",
        cluster_name=made.name,
        addon_name="vpc-cni",
        addon_version=latest.version,
        configuration_values=json.dumps({"env": {"WARM_PREFIX_TARGET": "1"}}),
        resolve_conflicts_on_create="OVERWRITE",
    )
    return made


def nodes(made, role, subnets, size, disk):
    placement = aws.ec2.PlacementGroup("efa", strategy="cluster")
    template = aws.ec2.LaunchTemplate(
        "gpu",
        block_device_mappings=[
            {
                "device_name": "/dev/xvda",
                "ebs": {
                    "volume_size": disk,
                    "volume_type": "gp3",
                    "throughput": 500,
                    "encrypted": "true",
                    "delete_on_termination": "true",
                },
            }
        ],
        metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 1},
        network_interfaces=[
            {
                "device_index": 0,
                "network_card_index": 0,
                "interface_type": "efa",
                "security_groups": [made.vpc_config.cluster_security_group_id],
                "delete_on_termination": "true",
            }
        ],
        placement={"group_name": placement.name},
        tag_specifications=[{"resource_type": "instance", "tags": {"Name": "gpu"}}],
        user_data="TUlNRQ==",
        update_default_version=True,
    )
    common = {
        "cluster_name": made.name,
        "node_role_arn": role.arn,
        "subnet_ids": [subnet.id for subnet in subnets],
    }
    group = aws.eks.NodeGroup(
        "gpu",
        **common,
        ami_type="AL2023_x86_64_NVIDIA",
        capacity_type="SPOT",
        instance_types=["g5.xlarge", "g5.2xlarge"],
        launch_template={"id": template.id, "version": template.latest_version},
        labels={"pool": "gpu", **({"bigger": "yes"} if size > 1 else {})},
        taints=[{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}],
        scaling_config={"min_size": 0, "max_size": size + 1, "desired_size": size},
        update_config={"max_unavailable": 1},
        node_repair_config={"enabled": True},
        warm_pool_config={"min_size": 0, "pool_state": "STOPPED"},
        tags={"pool": "gpu"},
    )
    aws.autoscaling.Tag(
        "gpu",
        autoscaling_group_name=group.resources[0].autoscaling_groups[0].name,
        tag={
            "key": "k8s.io/cluster-autoscaler/node-template/label/pool",
            "value": "gpu",
            "propagate_at_launch": False,
        },
    )
    reserved = aws.ec2.LaunchTemplate(
        "block",
        name_prefix="block-",
        instance_type="p5.48xlarge",
        instance_market_options={"market_type": "capacity-block"},
        capacity_reservation_specification={
            "capacity_reservation_target": {"capacity_reservation_id": "cr-0123456789"}
        },
    )
    aws.eks.NodeGroup(
        "block",
        **common,
        node_group_name_prefix="block-",
        capacity_type="CAPACITY_BLOCK",
        launch_template={"id": reserved.id, "version": reserved.latest_version},
        scaling_config={"min_size": 0, "max_size": 1, "desired_size": 0},
    )
    return group, template


def bucket():
    made = aws.s3.Bucket("models", force_destroy=True, tags={"for": "models"})
    name = {"bucket": made.bucket}
    aws.s3.BucketVersioning(
        "models", **name, versioning_configuration={"status": "Enabled"}
    )
    kms = {"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms"}}
    aws.s3.BucketServerSideEncryptionConfiguration(
        "models", **name, rules=[{**kms, "bucket_key_enabled": True}]
    )
    closed = aws.s3.BucketPublicAccessBlock(
        "models",
        **name,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
    )
    expire = {"noncurrent_version_expiration": {"noncurrent_days": 30}}
    rule = {"id": "old", "status": "Enabled", "filter": {"prefix": "sha256/"}, **expire}
    aws.s3.BucketLifecycleConfiguration("models", **name, rules=[rule])
    aws.s3.BucketOwnershipControls(
        "models", **name, rule={"object_ownership": "BucketOwnerEnforced"}
    )
    tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    document = made.arn.apply(
        lambda arn: json.dumps(
            {"Version": "2012-10-17", "Statement": [{**tls, "Resource": f"{arn}/*"}]}
        )
    )
    aws.s3.BucketPolicy(
        "models",
        **name,
        policy=document,
        opts=pulumi.ResourceOptions(depends_on=[closed]),
    )
    return made


def redis(subnets, group, nodes):
    places = aws.elasticache.SubnetGroup("redis", subnet_ids=[s.id for s in subnets])
    settings = aws.elasticache.ParameterGroup(
        "redis",
        family="valkey8",
        parameters=[{"name": "maxmemory-policy", "value": "noeviction"}],
    )
    return aws.elasticache.ReplicationGroup(
        "redis",
        description="GCS",
        engine="valkey",
        node_type=nodes,
        num_cache_clusters=2,
        automatic_failover_enabled=True,
        multi_az_enabled=True,
        transit_encryption_enabled=True,
        at_rest_encryption_enabled=True,
        auth_token=pulumi.Output.secret("0123456789abcdef"),
        parameter_group_name=settings.name,
        subnet_group_name=places.name,
        security_group_ids=[group.id],
        tags={"for": "gcs"},
    )


def domain():
    zone = aws.route53.get_zone(name=DOMAIN)
    certificate = aws.acm.Certificate(
        "models", domain_name=DOMAIN, validation_method="DNS"
    )
    option = certificate.domain_validation_options[0]
    record = aws.route53.Record(
        "validation",
        zone_id=zone.zone_id,
        name=option.resource_record_name,
        type=option.resource_record_type,
        records=[option.resource_record_value],
        ttl=60,
    )
    aws.acm.CertificateValidation(
        "models",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[record.fqdn],
    )
    balancers = aws.lb.get_hosted_zone_id(load_balancer_type="application")
    target = {"name": "alb.example", "zone_id": balancers.id}
    aws.route53.Record(
        "alias",
        zone_id=zone.zone_id,
        name=DOMAIN,
        type="A",
        aliases=[{**target, "evaluate_target_health": False}],
    )


def budget(limit):
    aws.budgets.Budget(
        "models",
        budget_type="COST",
        limit_amount=limit,
        limit_unit="USD",
        time_unit="MONTHLY",
        cost_filters=[{"name": "TagKeyValue", "values": ["user:raylift:stack$double"]}],
        notifications=[
            {
                "comparison_operator": "GREATER_THAN",
                "notification_type": "FORECASTED",
                "threshold": 80,
                "threshold_type": "PERCENTAGE",
                "subscriber_email_addresses": ["ops@example.com"],
            }
        ],
    )


FIRST = {
    "version": "1.34",
    "size": 1,
    "disk": 200,
    "days": 30,
    "cidrs": "192.0.2.0/24",
    "nodes": "cache.t4g.small",
    "limit": "100",
    "tags": {"raylift:stack": "double"},
}
SECOND = {
    "version": "1.35",
    "size": 2,
    "disk": 300,
    "days": 90,
    "cidrs": "198.51.100.0/24",
    "nodes": "cache.m7g.large",
    "limit": "200",
    "tags": {"raylift:stack": "double", "owner": "tests"},
}


def everything(wanted):
    """Create a resource of every type, and call every function of the double."""
    account = aws.get_caller_identity().account_id
    provider = aws.Provider(
        "here",
        region="us-east-1",
        allowed_account_ids=[account],
        default_tags={"tags": wanted["tags"]},
    )
    defaults = pulumi.ResourceOptions(provider=provider)
    pulumi.runtime.register_stack_transform(
        lambda args: (
            pulumi.ResourceTransformResult(
                props=args.props, opts=pulumi.ResourceOptions.merge(args.opts, defaults)
            )
            if args.type_.startswith("aws:")
            else None
        )
    )
    vpc, private, group, ready = network(wanted["cidrs"])
    role, attached = roles()
    key, logs = keys_and_logs(vpc, role, wanted["days"])
    after = [*ready, *attached, logs]
    made = cluster(role, private, key, wanted["version"], after)
    gpu, template = nodes(made, role, private, wanted["size"], wanted["disk"])
    cache = redis(private, group, wanted["nodes"])
    pulumi.export("bucket", bucket().bucket)
    domain()
    budget(wanted["limit"])
    pulumi.export("cluster", made.name)
    pulumi.export("endpoint", made.endpoint)
    pulumi.export("version", made.version)
    pulumi.export("template", template.id)
    pulumi.export("group", gpu.node_group_name)
    pulumi.export("asg", gpu.resources[0].autoscaling_groups[0].name)
    pulumi.export("redis", cache.primary_endpoint_address)
    questions(vpc)


def questions(vpc):
    """Call the functions that no other resource needs."""
    offers = aws.ec2.get_instance_type_offerings(
        location_type="availability-zone",
        filters=[{"name": "instance-type", "values": ["g5.xlarge"]}],
    )
    default = aws.ec2.get_vpc(default=True)
    inside = aws.ec2.get_subnets(filters=[{"name": "vpc-id", "values": [default.id]}])
    pulumi.export(
        "known",
        {
            "partition": aws.get_partition().partition,
            "offers": len(offers.locations) > 1,
            "default": aws.ec2.get_subnet(id=inside.ids[0]).vpc_id == default.id,
            "cidr": aws.ec2.get_vpc_output(id=vpc.id).cidr_block,
            "kubernetes": [
                each.cluster_version
                for each in aws.eks.get_cluster_versions().cluster_versions
                if each.default_version
            ],
        },
    )


def small(**more):
    """Create a cluster with the resources that it requires; MORE are its arguments."""
    role = aws.iam.Role("role", assume_role_policy=TRUST)
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
    subnets = [
        aws.ec2.Subnet(
            f"subnet-{zone}",
            vpc_id=vpc.id,
            cidr_block=f"10.0.{i}.0/24",
            availability_zone=f"us-east-1{zone}",
        )
        for i, zone in enumerate("ab")
    ]
    ids = [subnet.id for subnet in subnets]
    return aws.eks.Cluster(
        "small",
        name="small",
        role_arn=role.arn,
        vpc_config={"subnet_ids": ids},
        **more,
    )
