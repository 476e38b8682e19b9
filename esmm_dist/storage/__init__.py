"""Files and folders on this machine and in object stores: where they lie, how they are read, written and copied.

Nothing here knows what a file holds. It imports no TensorFlow.
"""
