"""Score what has no labels and is no data set: raw logs, and tables in memory.

Here belongs what reads rows of a log as ``preprocess`` does and hands them to a trained model
(``esmm_dist.inference``). How values become feature ids is not decided here.
"""
