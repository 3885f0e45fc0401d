"""What `pulumi up` runs at the root of a project."""

from infra.program import main

main()
