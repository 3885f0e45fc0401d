"""Access to Ray: its REST API, data plane and metrics."""
