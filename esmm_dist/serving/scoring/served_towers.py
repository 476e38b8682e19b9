"""The networks of a served model as one call: pooled rows in, probabilities out, both NumPy arrays.

A session calls the graph: a function of TensorFlow 2 costs about as much again as the networks of one request. With a
negative ``inter_op_parallelism_threads`` all operations run in the thread that calls: none waits for a thread to wake
up. The weights are inputs of the graph like the rows, so that a version whose networks have the same form as those of
the one before takes over its session, and reads nothing but weights. Figures: README.md, "Hot path", "New versions".
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.arrays import F32, Array
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.serving.scoring.network_form import network_form, variables_of

TOWERS_SIGNATURE = "towers"

_ALIGNED_BYTES = 64
"""TensorFlow copies an array at each call unless it begins at a multiple of it."""


class ServedTowers:
    """The signature ``towers`` of ``served/towers``. Any number of threads may call it."""

    def __init__(self, folder: Path, *, like: "ServedTowers | None" = None) -> None:
        """Load the networks.

        Args:
            folder: the SavedModel
            like: networks of another version, whose session is taken over if they have the same form
        """
        meta_graph = _meta_graph(folder)
        self._form = network_form(meta_graph)
        same = like is not None and like._form == self._form
        self._network: _Network = like._network if like and same else _Network(folder, variables_of(meta_graph))
        self._weights = _weights(folder, self._network.weights)

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, F32]:
        """Return the columns of predictions, float32 [B].

        Args:
            inputs: arrays by name, as ``ExportedTowers.signatures`` lists them
        """
        network = self._network
        found = network.call(*[inputs[name] for name in network.inputs], *self._weights)
        return dict(zip(network.outputs, found, strict=True))

    def shares_session_with(self, other: "ServedTowers") -> bool:
        """Return whether both have one session."""
        return self._network is other._network


class _Network:
    """A session with the graph of networks whose weights are inputs."""

    def __init__(self, folder: Path, variables: Sequence[str]) -> None:
        tf = import_tensorflow()
        from tensorflow.core.protobuf.config_pb2 import CallableOptions
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        loaded = tf.saved_model.load(str(folder))
        function = loaded.signatures[TOWERS_SIGNATURE]
        frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
        names = {id(each.handle): name for name, each in zip(variables, loaded.dense_variables, strict=True)}
        taken = {
            inner.op.name: names[id(captured)] for captured, inner in function.graph.captures if id(captured) in names
        }
        nodes = frozen.graph.as_graph_def()
        for node in nodes.node:
            if node.name in taken:
                dtype = node.attr["dtype"].type
                node.op = "Placeholder"
                node.ClearField("attr")
                node.attr["dtype"].type = dtype
        of_input = {node.name: taken[node.name] for node in nodes.node if node.name in taken}
        self.weights = list(of_input.values())
        """Their keys in a checkpoint, in the order of the inputs behind the others"""
        self.inputs = [tensor.op.name for tensor in frozen.inputs]
        self.outputs = sorted(function.structured_outputs)
        settings = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
        # The graph is small, and what the optimizers make of it is not faster
        settings.graph_options.rewrite_options.disable_meta_optimizer = True
        graph = tf.Graph()
        with graph.as_default():
            tf.graph_util.import_graph_def(nodes, name="")
        self._session = tf.compat.v1.Session(graph=graph, config=settings)
        options = CallableOptions(
            feed=[f"{name}:0" for name in (*self.inputs, *of_input)], fetch=[each.name for each in frozen.outputs]
        )
        # What the public make_callable returns looks all names up at each call
        self.call: Any = self._session._make_callable_from_options(options)


def _meta_graph(folder: Path) -> Any:
    import_tensorflow()
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    return SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]


def _weights(folder: Path, keys: Sequence[str]) -> list[Array]:
    """Return the values of variables by their keys, in memory where TensorFlow uses them as they are."""
    checkpoint = import_tensorflow().train.load_checkpoint(str(folder / "variables" / "variables"))
    return [_aligned(np.asarray(checkpoint.get_tensor(key))) for key in keys]


def _aligned(values: Array) -> Array:
    memory = np.empty(values.nbytes + _ALIGNED_BYTES, np.uint8)
    begin = -memory.ctypes.data % _ALIGNED_BYTES
    found: Array = memory[begin : begin + values.nbytes].view(values.dtype).reshape(values.shape)
    found[...] = values
    return found
