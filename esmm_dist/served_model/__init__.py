"""The form of a model that ``esmm export`` writes and ``esmm serve`` maps from disk: rows, towers, deltas, versions.

What belongs here: the files of a served model, how they are written, mapped and found. What does not: HTTP
(``serving``), reading checkpoints and TensorFlow graphs (``inference``).
"""
