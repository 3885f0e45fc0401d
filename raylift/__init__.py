"""What infra, serve_runtime and cli all stand on; it imports none of them."""

__version__ = "0.1.0"
