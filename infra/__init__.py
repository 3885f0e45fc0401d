"""What exists before a model is served: the machines and the Ray cluster on them."""
