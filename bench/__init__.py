"""Benchmarks of raylift against the plain tools that it replaces, run side by side."""
