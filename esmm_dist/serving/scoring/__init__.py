"""Requests that wait are scored together, by the model that is in service. No HTTP, no files of versions."""
