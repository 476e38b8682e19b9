"""The processes of a server: one that binds, watches and supervises, and workers that answer."""
