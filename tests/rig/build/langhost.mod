module rig.local/langhost

go 1.26.0

// The newest version of the SDK's module that contains the language host for Python.
require github.com/pulumi/pulumi/sdk/v3 v@VERSION@

tool github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python
