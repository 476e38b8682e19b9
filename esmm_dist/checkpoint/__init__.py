"""A run's state in storage: all of one step, or nothing.

Here belongs the layout of a checkpoint, writing, verifying, reading and retention. What the state means belongs to
``esmm_dist.train`` and ``esmm_dist.embedding``, which also writes the rows. README.md says what a checkpoint
guarantees, and how other programs read its rows.
"""
