"""A directory → a deterministic zip, content-addressed, with nothing leaked."""
