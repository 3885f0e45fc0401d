"""The `local` target: real Ray processes of our own on this machine."""
