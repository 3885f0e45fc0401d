"""Stack files: shared models, loading, and the JSON Schema."""
