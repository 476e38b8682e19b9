"""The cluster's API: its kinds of objects, the client that makes calls, what connects it, and what its refusals mean.

Nothing here knows of jobs.
"""
