// Package v4 has the input types of the Helm v4 chart, which the rig does not support.
package v4

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

type (
	// PostRenderer is a command that changes rendered manifests.
	PostRenderer struct {
		Args    []string `pulumi:"args"`
		Command string   `pulumi:"command"`
	}
	// PostRendererInput is an input of type PostRenderer.
	PostRendererInput interface{ pulumi.Input }
	// RepositoryOpts says where a chart comes from.
	RepositoryOpts struct {
		CaFile   pulumi.AssetOrArchive `pulumi:"caFile"`
		CertFile pulumi.AssetOrArchive `pulumi:"certFile"`
		KeyFile  pulumi.AssetOrArchive `pulumi:"keyFile"`
		Password *string               `pulumi:"password"`
		Repo     *string               `pulumi:"repo"`
		Username *string               `pulumi:"username"`
	}
	// RepositoryOptsInput is an input of type RepositoryOpts.
	RepositoryOptsInput interface{ pulumi.Input }
)
