"""Places in object stores, for commands that read and write files."""

SCRATCH = "ESMM_SCRATCH"
"""Environment variable: folder for copies of what lies in object stores."""
