"""A double of Pulumi's provider `kubernetes`, for tests only.

The real Pulumi engine calls the double, and the double calls a real API server.
It sends the requests that pulumi-kubernetes sends by default: it creates an object with
a POST (which fails if the object exists), updates it with a server-side apply as
pulumi-kubernetes-<hash>, previews it with a dry run, waits as its annotations require,
and deletes it in the foreground.

It is stricter in two ways. It checks inputs against the classes of the installed
pulumi_kubernetes package, and it makes the API server refuse unknown fields of all
kinds, including custom resources. It only records Helm releases and charts.
"""
