"""The training system: schema, input, embeddings, model, training, checkpoints, prediction.

Here belongs what a training process needs. Turning raw logs into records belongs to ``preprocess``; command lines
and cluster jobs belong to ``launcher``. Imports go one way (checked by the contract in ``pyproject.toml``):
train > inference > model, checkpoint > parameter_server > embedding > input > schema > ranks, storage, process >
config > errors.

Importing this package imports neither TensorFlow nor anything else that is slow.
"""

__version__ = "0.1.0"
