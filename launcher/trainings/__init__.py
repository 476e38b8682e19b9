"""Many runs of ``esmm train`` side by side, as ``esmm tune`` and ``esmm compare`` need them.

What belongs here: the share of the cores that each gets, the process and its log, the loop that starts, follows and
stops them, their settings as a file, and the folder that one command at a time works on. What must not: which trainings
there are, and what is said of them.
"""
