"""Keys of the tags that raylift sets on AWS resources; this module imports nothing."""

STACK_TAG = "raylift:stack"
# `<ID of the stack's provider>/<logical name>`. Pulumi generates the ID when it creates
# the resources, so it differs for another stack with the same name.
RESOURCE_TAG = "raylift:resource"
