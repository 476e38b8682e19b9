"""Several command lines, one after the other, as one command that continues where it stopped.

``esmm demo`` and ``esmm preset`` are made of them. A step adds nothing to its line: what is shown can be typed by hand.
"""
