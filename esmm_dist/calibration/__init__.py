"""Calibration: what turns the logits of a model into those whose probabilities are right on average.

Here belong the correction for negatives that a data set left out, the curves of calibrated labels, how they are fitted
on scored impressions, and the one place where both are applied to logits (``logit_transform.py``). Not here: which
impressions are scored, and what becomes of probabilities (``inference``); the metric of the same name
(``model/metrics``).
"""
