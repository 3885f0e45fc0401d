"""Target `kubernetes`."""
