"""What goes to the terminal: the only importer of rich."""
