"""Deployment and monitoring of Ray Serve applications on a cluster."""
