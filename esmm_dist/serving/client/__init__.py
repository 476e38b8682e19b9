"""The client of a served model: one file that ``esmm export`` gives to whoever asks, and that needs nothing but Python.

What belongs here: that file. What does not: anything that it would have to import.
"""
