"""Target `aws`."""
