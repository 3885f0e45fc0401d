"""Hypothesis profiles: the same examples on every run, or new ones for `make fuzz`."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, print_blob=True)
settings.load_profile("repeatable")
