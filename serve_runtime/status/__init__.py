"""The status of a cluster: applications, capacity, diagnosis and logs."""
