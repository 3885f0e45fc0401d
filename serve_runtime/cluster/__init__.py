"""A Ray cluster as a deployment target: desired state, releases and locks."""
