"""The order in which `up` creates resources and, in reverse, `delete` deletes them.

A resource is deleted only after everything that depends on it. So a resource outlives
another one if the other depends on it, directly or indirectly.
"""

from __future__ import annotations

import json

import pulumi_aws as aws_sdk
import pytest
from recording import record, run
from shipped import ALL, AWS, recorded

from raylift.infra.kubernetes.config import KubernetesConfig

FIRST_ON_NODES = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
WAY_OUT = (
    "ec2/eip:Eip",
    "ec2/internetGateway:InternetGateway",
    "ec2/natGateway:NatGateway",
    "ec2/route:Route",
    "ec2/vpcEndpoint:VpcEndpoint",
)
JOINED = (
    "ec2/routeTable:RouteTable",
    "ec2/routeTableAssociation:RouteTableAssociation",
)
USERS_KEY = "arn:aws:kms:us-west-2:123456789012:key/k"
GROUND = {
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/placementGroup:PlacementGroup",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:eks/addon:Addon",
    "aws:eks/cluster:Cluster",
    "aws:iam/role:Role",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:kms/key:Key",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "pulumi:providers:aws",
    *(f"aws:{kind}" for kind in (*WAY_OUT, *JOINED)),
}


@pytest.fixture(params=AWS)
def aws(request):
    return recorded(request.param)


@pytest.fixture(params=ALL)
def any_target(request):
    return recorded(request.param)


def assert_outlives(program, lasting, going):
    wrong = [
        f"{one.kind} {one.name} may be deleted before {other.name}"
        for one in lasting
        for other in going
        if not program.outlives(one, other)
    ]
    assert wrong == []


def groups(program):
    return program.of("eks/nodeGroup:NodeGroup")


def worker_groups(program):
    return [group for group in groups(program) if group.name != "system"]


def inside(program):
    return [r for r in program.resources.values() if r.kind.startswith("kubernetes:")]


def releases(program, *names):
    return [r for r in program.of("helm.sh/v3:Release") if r.name in names]


def addons(program, *names):
    found = [r for r in program.of("eks/addon:Addon") if r.name in names]
    assert len(found) == len(names)
    return found


def policies_of(program, name):
    kinds = ("iam/rolePolicy:RolePolicy", "RolePolicyAttachment")
    role = program.one(name, "iam/role:Role")
    found = [r for kind in kinds for r in program.of(kind) if role.urn in r.needs]
    assert found
    return found


def ray_service(program):
    return program.one("ray-service", "ray.io/v1:RayService")


def test_internet_access_outlives_every_node(aws):
    lasting = [r for kind in (*WAY_OUT, *JOINED) for r in aws.of(kind)]
    lasting += [r for r in aws.of("SecurityGroupIngressRule") if "https" in r.name]
    assert_outlives(aws, lasting, groups(aws))


def test_a_nat_gateway_goes_before_its_own_way_to_the_internet(aws):
    lasting = [r for kind in JOINED for r in aws.of(kind) if "public" in r.name]
    lasting += [r for r in aws.of("ec2/route:Route") if r.name == "public-internet"]
    lasting += aws.of("InternetGateway")
    assert_outlives(aws, lasting, aws.of("NatGateway"))


def test_what_a_node_needs_outlives_it(aws):
    lasting = [*addons(aws, *FIRST_ON_NODES), *policies_of(aws, "node")]
    assert_outlives(aws, lasting, groups(aws))


def test_the_policies_of_eks_outlive_the_cluster(aws):
    lasting = [*policies_of(aws, "cluster"), aws.one("control-plane-logs")]
    assert_outlives(aws, lasting, aws.of("eks/cluster:Cluster"))


def test_the_key_outlives_everything_encrypted_with_it(aws):
    used = [
        r
        for r in aws.resources.values()
        if r.kind.endswith(("LogGroup", "Cluster:Cluster", "ReplicationGroup"))
    ]
    given = {r.inputs.get("kmsKeyId") for r in used if "Cluster" not in r.kind}
    own = aws.of("kms/key:Key")
    assert given == {"arn:aws:mock:::key" if own else USERS_KEY}
    assert_outlives(aws, own, used)


def test_flow_logs_are_deleted_before_their_role_and_log_group(aws):
    for log in aws.of("ec2/flowLog:FlowLog"):
        lasting = [*policies_of(aws, "flow-logs"), aws.one("flow-logs", "LogGroup")]
        assert_outlives(aws, [*lasting, *aws.of("ec2/vpc:Vpc")], [log])


def test_a_name_goes_before_its_load_balancer_and_that_before_its_certificate():
    program = recorded("aws with a zone")
    (way_in,) = program.of("networking.k8s.io/v1:Ingress")
    certificate = [r for r in program.resources.values() if "aws:acm" in r.kind]
    certificate.append(program.one("host-validation", "route53/record:Record"))
    assert len(certificate) == 3
    assert_outlives(program, certificate, [way_in])
    assert_outlives(program, [way_in], [program.one("host", "route53/record:Record")])


def test_a_load_balancer_that_has_a_name_in_the_dns_is_waited_for():
    waits = {}
    for name in ("aws-prod", "aws with a zone"):
        (way_in,) = recorded(name).of("networking.k8s.io/v1:Ingress")
        annotations = way_in.inputs["metadata"]["annotations"]
        waits[name] = {k: v for k, v in annotations.items() if "pulumi.com" in k}
        replaced = list(way_in.request.replaceOnChanges)
    assert waits == {
        "aws-prod": {"pulumi.com/skipAwait": "true"},
        "aws with a zone": {
            "pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0].hostname}"
        },
    }
    scheme = 'metadata.annotations["alb.ingress.kubernetes.io/scheme"]'
    assert (replaced, way_in.request.deleteBeforeReplace) == ([scheme], True)


def test_a_role_that_pods_act_by_keeps_its_policies_while_they_run(aws):
    cni, csi = addons(aws, "vpc-cni", "aws-ebs-csi-driver")
    acting = [("vpc-cni", cni), ("ebs-csi", csi), ("ray", ray_service(aws))]
    acting += [(r.name, r) for r in releases(aws, "cluster-autoscaler")]
    balancers = releases(aws, "aws-load-balancer-controller")
    acting += [("load-balancers", r) for r in balancers]
    for role, pods in acting:
        named = (role, f"{role}-head", f"{role}-worker")
        bound = [r for r in aws.of("PodIdentityAssociation") if r.name in named]
        assert bound or pods in (cni, csi)
        assert_outlives(aws, [*policies_of(aws, role), *bound], [pods])


def test_worker_nodes_go_before_system_nodes(aws):
    assert_outlives(aws, [aws.one("system", "NodeGroup")], worker_groups(aws))


def test_the_way_into_the_cluster_outlives_every_object_there(any_target):
    (way_in,) = any_target.of("pulumi:providers:kubernetes")
    assert inside(any_target)
    assert_outlives(any_target, [way_in], inside(any_target))


def test_every_resource_of_aws_is_of_the_stacks_own_provider(aws):
    (own,) = aws.of("pulumi:providers:aws")
    found = [r for r in aws.resources.values() if r.kind.startswith("aws:")]
    assert [r.name for r in found if own.urn not in r.needs] == []


def test_system_nodes_and_who_may_enter_outlive_every_object_in_the_cluster(aws):
    entries = [*aws.of("AccessEntry"), *aws.of("AccessPolicyAssociation")]
    lasting = [*entries, aws.one("system", "NodeGroup"), *aws.of("Cluster:Cluster")]
    assert_outlives(aws, lasting, inside(aws))


def test_what_cleans_up_after_ray_outlives_the_ray_service(any_target):
    lasting = [
        *releases(any_target, "kuberay-operator"),
        *any_target.of("core/v1:Namespace"),
        *any_target.of("core/v1:Secret"),
        *any_target.of("core/v1:PersistentVolumeClaim"),
        *any_target.of("core/v1:ServiceAccount"),
        *any_target.of("networking.k8s.io/v1:NetworkPolicy"),
        *any_target.of("storage.k8s.io/v1:StorageClass"),
    ]
    assert_outlives(any_target, lasting, [ray_service(any_target)])


def test_a_redis_and_the_way_to_it_outlive_the_ray_service(aws):
    lasting = [r for r in aws.resources.values() if "elasticache" in r.kind]
    lasting += [r for r in aws.resources.values() if r.name.startswith("gcs-from")]
    assert_outlives(aws, lasting, [ray_service(aws)])


def test_names_resolve_and_volumes_can_be_removed_while_ray_runs(aws):
    driver = addons(aws, "aws-ebs-csi-driver")
    claims = aws.of("PersistentVolumeClaim")
    assert_outlives(aws, driver, [*claims, *aws.of("StorageClass")])
    lasting = [*driver, *addons(aws, "coredns")]
    assert_outlives(aws, lasting, [ray_service(aws), *aws.of("v1:Ingress")])


def test_the_operators_namespace_goes_after_the_operator(any_target):
    homes = [r for r in any_target.of("v1:Namespace") if r.name.startswith("operator")]
    assert_outlives(any_target, homes, releases(any_target, "kuberay-operator"))


def test_a_namespace_outlives_all_that_is_in_it(any_target):
    for space in any_target.of("core/v1:Namespace"):
        name = space.inputs["metadata"]["name"]
        held = [
            r
            for r in inside(any_target)
            if r.inputs.get("metadata", {}).get("namespace") == name
        ]
        assert_outlives(any_target, [space], held)


def test_the_load_balancers_controller_outlives_the_ingress(aws):
    ingresses = aws.of("networking.k8s.io/v1:Ingress")
    controllers = releases(aws, "aws-load-balancer-controller")
    assert len(controllers) == len(ingresses)
    assert_outlives(aws, controllers, ingresses)


def test_the_way_in_for_clients_goes_before_what_serves_them(any_target):
    ingresses = any_target.of("networking.k8s.io/v1:Ingress")
    serve = any_target.one("serve", "core/v1:Service")
    assert_outlives(any_target, [ray_service(any_target), serve], ingresses)


def test_budgets_for_disruption_go_before_the_nodes_that_they_hold_up():
    aws = recorded("aws-dev")
    budgets = aws.of("PodDisruptionBudget")
    assert budgets
    assert_outlives(aws, [aws.one("system", "NodeGroup")], budgets)


@pytest.mark.parametrize(
    ("storage", "replicas", "budgets"),
    [
        ("rocksdb", 0, {}),
        ("rocksdb", 1, {}),
        ("rocksdb", 3, {"demo-worker": 2}),
        ("none", 1, {"demo-head": 1}),
    ],
)
def test_a_drain_leaves_all_but_one_of_the_required_workers(storage, replicas, budgets):
    config = KubernetesConfig(
        faultTolerance={"gcsStorage": storage},
        ray={"workerGroups": [{"name": "workers", "minReplicas": replicas}]},
    )
    found = record(config).of("PodDisruptionBudget")
    assert budgets == {
        budget.inputs["metadata"]["name"]: budget.inputs["spec"]["minAvailable"]
        for budget in found
    }


def test_the_control_plane_waits_for_no_way_out(aws):
    (cluster,) = aws.of("eks/cluster:Cluster")
    kinds = {r.kind.removeprefix("aws:") for r in aws.before(cluster)}
    assert kinds.isdisjoint(WAY_OUT)
    assert kinds.isdisjoint({"s3/bucket:Bucket", "eks/addon:Addon"})


def test_nodes_wait_for_nothing_that_they_do_not_need(aws):
    system = aws.one("system", "NodeGroup")
    for group in groups(aws):
        before = [r for r in aws.before(group) if r != system]
        assert {r.kind for r in before} <= GROUND
        named = {r.name for r in before if r.kind.endswith("Addon")}
        assert named == set(FIRST_ON_NODES)


def test_no_object_in_the_cluster_waits_for_worker_nodes(aws):
    for group in worker_groups(aws):
        held_up = [r.name for r in aws.resources.values() if aws.outlives(group, r)]
        assert held_up == []


def test_the_operator_is_installed_while_add_ons_come_up(aws):
    for release in releases(aws, "kuberay-operator"):
        named = {r.name for r in aws.before(release) if r.kind.endswith("Addon")}
        assert named == set(FIRST_ON_NODES)


def test_redis_is_created_in_parallel_with_the_cluster(aws):
    for redis in aws.of("ReplicationGroup"):
        assert not any(aws.outlives(r, redis) for r in aws.of("Cluster:Cluster"))


def test_nothing_is_left_to_the_deletion_of_something_else(any_target):
    requests = [r.request for r in any_target.resources.values()]
    assert [r.name for r in requests if r.deletedWith] == []
    assert [r.name for r in requests if r.retainOnDelete] == []


def test_every_deletion_is_awaited(any_target):
    resources = any_target.resources.values()
    kinds = {r.kind for r in resources if "pulumi.com/skipAwait" in str(r.inputs)}
    # Of these kinds, the provider awaits the deletion nevertheless.
    assert kinds <= {
        "kubernetes:core/v1:PersistentVolumeClaim",
        "kubernetes:core/v1:Service",
        "kubernetes:networking.k8s.io/v1:Ingress",
    }
    unwatched = [r.name for r in any_target.of("Release") if r.inputs.get("skipAwait")]
    # Charts that contain only DaemonSets, which have no pods without matching nodes.
    assert set(unwatched) <= {
        "aws-efa-k8s-device-plugin",
        "dcgm-exporter",
        "nvidia-device-plugin",
    }


def test_what_others_own_is_in_no_ray_service(any_target):
    inputs = ray_service(any_target).inputs
    assert "serveConfigV2" not in json.dumps(inputs)
    groups = inputs["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert groups
    assert all("replicas" not in group for group in groups)


TIMEOUTS = {
    "aws:acm/certificateValidation:CertificateValidation": ("30m", "", ""),
    "aws:eks/cluster:Cluster": ("30m", "60m", "30m"),
    "aws:eks/nodeGroup:NodeGroup": ("40m", "60m", "40m"),
    "aws:elasticache/replicationGroup:ReplicationGroup": ("40m", "60m", "40m"),
    "kubernetes:apps/v1:Deployment": ("20m", "20m", ""),
    "kubernetes:ray.io/v1:RayService": ("20m", "20m", "10m"),
    "kubernetes:networking.k8s.io/v1:Ingress": ("", "", "10m"),
}


def test_slow_resources_have_longer_timeouts(any_target):
    for resource in any_target.resources.values():
        timeouts = resource.request.customTimeouts
        times = (timeouts.create, timeouts.update, timeouts.delete)
        assert times == TIMEOUTS.get(resource.kind, ("", "", ""))
    assert {r.inputs["timeout"] for r in any_target.of("Release")} <= {600}


IGNORED = {
    "aws:eks/nodeGroup:NodeGroup": "scalingConfig.desiredSize",
    "aws:eks/cluster:Cluster": "accessConfig.bootstrapClusterCreatorAdminPermissions",
    "aws:ec2/subnet:Subnet": "tags",
    "aws:elasticache/replicationGroup:ReplicationGroup": "authToken",
}


def test_changes_by_controllers_are_ignored(aws):
    for resource in aws.resources.values():
        ignored = set(resource.request.ignoreChanges) - {"vpcConfig.publicAccessCidrs"}
        assert ignored == (
            {IGNORED[resource.kind]} if resource.kind in IGNORED else set()
        )


def test_an_address_that_was_found_out_is_not_changed_by_the_next_person():
    found_out = recorded("aws-dev").one("cluster", "Cluster").request.ignoreChanges
    named = recorded("aws-prod").one("cluster", "Cluster").request.ignoreChanges
    assert "vpcConfig.publicAccessCidrs" in found_out
    assert "vpcConfig.publicAccessCidrs" not in named


def test_deletion_protection_is_of_what_holds_state_and_of_nothing_without_it():
    guarded = [r for r in recorded("aws-prod").resources.values() if r.request.protect]
    assert {r.kind for r in guarded} == {
        "aws:ec2/vpc:Vpc",
        "aws:eks/cluster:Cluster",
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "aws:kms/key:Key",
        "aws:s3/bucket:Bucket",
    }
    for name in ("aws-dev", "kubernetes"):
        resources = recorded(name).resources.values()
        assert not any(r.request.protect for r in resources)


@pytest.mark.parametrize("name", ALL)
def test_a_preview_shows_every_resource(name):
    before = recorded(name, preview=True)
    assert before.resources.keys() == recorded(name).resources.keys()
    assert recorded(name).made_late == before.made_late == ()


def test_a_resource_that_is_made_inside_an_apply_would_be_seen():
    def program():
        bucket = aws_sdk.s3.Bucket("first")
        bucket.arn.apply(lambda _: aws_sdk.s3.Bucket("second"))
        return {}

    assert run(program).made_late == ("second",)
    assert len(run(program, preview=True).resources) == 1
