"""Use a trained model: load it from a run, score a data set.

Here belongs what needs weights but no training. Evaluation belongs to ``esmm_dist.train``, which runs it during
training too.
"""
