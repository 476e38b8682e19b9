"""The request that tests of ``esmm serve`` ask; without imports, for processes that do nothing else."""

ASKED = {"user": 17, "candidates": [{"item": 1001}, {"item": 1002}, {"item": 1400}, {"item": 5}]}
"""The last candidate has no row."""
