"""Serve configs: schema, source code, and splitters."""
