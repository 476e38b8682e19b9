"""The folder of a run and the processes that work in it: what survives a kill, and files that stages hand on.

Nothing here knows what a log or a record is.
"""
