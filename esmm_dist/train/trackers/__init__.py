"""Experiment trackers that a training logs to: MLflow and Weights & Biases, through their own clients.

A client is imported when it is asked for, and used by a thread of its own. What must not be here: anything that a
training waits for, and any setting that a client reads from its own variables.
"""
