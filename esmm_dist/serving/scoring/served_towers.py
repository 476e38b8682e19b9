"""The networks of a served model as one call: pooled rows in, probabilities out, both NumPy arrays.

A session calls the graph: a function of TensorFlow 2 costs about as much again as the networks of one request. With a
negative ``inter_op_parallelism_threads`` all operations run in the thread that calls: none waits for a thread to wake
up. Figures: README.md, "Hot path".
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esmm_dist.arrays import F32, Array
from esmm_dist.process.quiet import import_tensorflow

TOWERS_SIGNATURE = "towers"


class ServedTowers:
    """The signature ``towers`` of ``served/towers``. Any number of threads may call it."""

    def __init__(self, folder: Path) -> None:
        """Load the networks.

        Args:
            folder: the SavedModel
        """
        tf = import_tensorflow()
        from tensorflow.python.saved_model.loader_impl import SavedModelLoader  # of which the public form warns

        settings = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
        # The graph is small, and what the optimizers make of it is not faster
        settings.graph_options.rewrite_options.disable_meta_optimizer = True
        graph = tf.Graph()
        with graph.as_default():
            self._session = tf.compat.v1.Session(graph=graph, config=settings)
            loaded = SavedModelLoader(str(folder)).load(self._session, [tf.saved_model.SERVING])
        signature = loaded.signature_def[TOWERS_SIGNATURE]
        self._inputs, self._outputs = list(signature.inputs), list(signature.outputs)
        self._call: Any = self._session.make_callable(
            [signature.outputs[name].name for name in self._outputs],
            feed_list=[signature.inputs[name].name for name in self._inputs],
        )

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, F32]:
        """Return the columns of predictions, float32 [B].

        Args:
            inputs: arrays by name, as ``ExportedTowers.signatures`` lists them
        """
        return dict(zip(self._outputs, self._call(*[inputs[name] for name in self._inputs]), strict=True))
