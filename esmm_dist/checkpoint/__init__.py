"""A run's state on disk: all of one step, or nothing.

Here belongs the layout of a checkpoint, writing, verifying, reading and retention. What the state means belongs to
``esmm_dist.train`` and ``esmm_dist.embedding``. ``format.py`` describes the files.
"""
