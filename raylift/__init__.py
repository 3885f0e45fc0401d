"""Infrastructure as code for serving models with Ray.

raylift provisions Ray clusters with Pulumi, on this machine, on Kubernetes or on AWS
(`raylift.infra`), and deploys Ray Serve applications to them (`raylift.serve_runtime`).
The `raylift` command (`raylift.cli`) uses both. The Pulumi program of a project imports
`raylift.program`. The import path of the traffic splitter in a Serve config is
`raylift.splitter:app`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
