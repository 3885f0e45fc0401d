"""The program that `pulumi up` runs at the root of this repository."""

from raylift.infra.program import main

main()
