// Package v2 refuses the YAML components, which need a typed package for each kind.
package v2

import (
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource always fails.
func RegisterResource(
	_ *pulumi.Context, _, _, _ string, _ pulumi.Input, _ ...pulumi.ResourceOption,
) (pulumi.CustomResource, error) {
	return nil, errors.New("the rig builds the provider without components of YAML, Helm v4 and Kustomize")
}
