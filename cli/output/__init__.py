"""Terminal output. Only these modules import rich."""
