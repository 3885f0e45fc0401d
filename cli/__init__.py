"""What a person types. Nothing imports it."""
