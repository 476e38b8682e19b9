"""Object stores for commands that read and write files: copies of what they read and write, and ``esmm copy``."""
