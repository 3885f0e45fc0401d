module rig.local/provider

go 1.26.0

// The published module lacks two generated files that its command embeds, so the rig has a
// command of its own. sdk/ replaces packages that no resource of raylift needs and that take
// minutes to compile: a YAML or Helm v4 component fails with an error that says so.
require (
	github.com/pulumi/pulumi-kubernetes/provider/v4 v@VERSION@
	github.com/pulumi/pulumi-kubernetes/sdk/v4 v4.24.0
)

replace github.com/pulumi/pulumi-kubernetes/sdk/v4 => ./sdk
