"""The same work by other programs: TorchRec's kernels (FBGEMM) and Keras, in an environment of their own.

``compare.py`` runs all; ``export.py`` and ``train_ours.py`` run in the project's environment, ``batches.py`` and the
other ``train_...`` files in the peers', where nothing of the project can be imported.
"""

WARM_STEPS = 8
"""First steps of a training, which compile and touch memory for the first time, and are not counted"""
