"""``esmm plan``: how large a training must be, how long it takes and what limits it, before it is started.

What belongs here: a model of one step, of the memory and of the disk, as pure functions of settings and of constants
that were measured (README.md). What must not: anything that trains, and TensorFlow: a plan is made in a second.
"""
