"""Compiled loops over arrays: the row path of a step. See README.md."""
