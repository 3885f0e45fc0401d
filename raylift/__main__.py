"""Run the command line as `python -m raylift`."""

from raylift.cli.main import main

main()
