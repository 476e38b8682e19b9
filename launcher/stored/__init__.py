"""Places in object stores, for commands that read and write files."""
