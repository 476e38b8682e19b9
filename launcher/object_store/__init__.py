"""Object stores for commands that read and write files: copies of what they read and write, and ``esmm copy``."""

SCRATCH = "ESMM_SCRATCH"
"""Environment variable: folder for local copies of what lies in object stores."""
