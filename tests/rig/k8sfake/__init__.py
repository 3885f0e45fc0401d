"""A provider called `kubernetes`, for tests only.

The real Pulumi engine on one side, a real API server on the other. It is not
pulumi-kubernetes: that provider cannot be built from published modules. It does to
the API server what that one does by default: an object is created by a POST (and
refused when it exists), updated by a server-side apply as
pulumi-kubernetes-<hash>, previewed by a dry run, waited for as its annotations
say, and deleted in the foreground. It is stricter in two ways: inputs are checked
against the classes of the installed pulumi_kubernetes package, and the API server
is asked to refuse unknown fields of any kind, also those of custom resources. Helm
releases and charts are only recorded.
"""
