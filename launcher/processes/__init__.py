"""Child processes: what they are (a plan), how they start, how their lines are split, and what their ends mean.

Which processes a training needs is not known here.
"""
