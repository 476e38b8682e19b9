"""``esmm serve``: answers over HTTP, from a served model that is mapped from disk and replaced while it answers.

What belongs here: requests, scoring them, HTTP, versions as they come, limits, metrics, processes. What does not: the
files of a model (``served_model``) and how they are made (``inference``).
"""
