"""Use a trained model: load it from a run; score, evaluate or export it.

Here belongs what needs weights but no optimizer. ``esmm_dist.train`` stands above: it evaluates with the same code
while it trains.
"""
