"""Code packages: deterministic, content-addressed zips without secrets."""
