"""Infrastructure for serving models: machines, and the Ray cluster on them."""
