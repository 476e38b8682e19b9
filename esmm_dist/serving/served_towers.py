"""The networks of a served model as one call: pooled rows in, probabilities out, both NumPy arrays.

The SavedModel's variables become constants of its graph, and a session calls that: TensorFlow's function call costs as
much again as the networks of one request. A session whose ``inter_op_parallelism_threads`` is negative runs all
operations in the thread that calls it, so that requests share no pool and none waits for a thread to wake up.

Measured with ``python -m tests.benchmarks.serving_hot_path``, one user with 200 candidates (see README.md).
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
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        loaded = tf.saved_model.load(
            str(folder)
        )  # its variables are gone with it, and must be there until they are frozen
        function = loaded.signatures[TOWERS_SIGNATURE]
        frozen = convert_variables_to_constants_v2(function)
        graph = tf.Graph()
        with graph.as_default():
            tf.graph_util.import_graph_def(frozen.graph.as_graph_def(), name="")
        settings = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
        # The graph is small, and what the optimizers make of it is not faster
        settings.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.compat.v1.Session(graph=graph, config=settings)
        self._inputs = [tensor.name.partition(":")[0] for tensor in frozen.inputs]
        self._outputs = sorted(function.structured_outputs)  # as TensorFlow flattens a dictionary
        self._call: Any = self._session.make_callable(
            [tensor.name for tensor in frozen.outputs], feed_list=[tensor.name for tensor in frozen.inputs]
        )

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, F32]:
        """Return the columns of predictions, float32 [B].

        Args:
            inputs: arrays by name, as ``ExportedTowers.signatures`` lists them
        """
        return dict(zip(self._outputs, self._call(*[inputs[name] for name in self._inputs]), strict=True))
