"""What runs on a cluster: Ray Serve applications, planned, deployed, watched."""
