"""The traffic splitter, a Serve application."""
