"""Networks of which the weights alone differ share a session; those of another form do not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from esmm_dist.serving.scoring.network_form import network_form
from esmm_dist.serving.scoring.served_towers import ServedTowers

ROWS = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


class Towers(tf.Module):
    """Networks of one layer."""

    def __init__(self, weights: list[list[float]], factor: float) -> None:
        super().__init__()
        self.dense_variables = [tf.Variable(weights), tf.Variable([1.0], name="bias")]
        self._factor = factor

    def signatures(self) -> dict[str, Any]:
        def towers(pooled_0: tf.Tensor) -> dict[str, tf.Tensor]:
            found = (pooled_0 @ self.dense_variables[0] + self.dense_variables[1])[:, 0]
            return {"pctr": found * self._factor, "pcvr": -found}

        spec = tf.TensorSpec([None, 2], tf.float32, name="pooled_0")
        return {"towers": tf.function(towers, input_signature=[spec], autograph=False)}


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(name: str, weights: list[list[float]], factor: float = 2.0) -> Path:
        towers = Towers(weights, factor)
        tf.saved_model.save(towers, str(tmp_path / name), signatures=towers.signatures())
        return tmp_path / name

    return save


def test_other_weights_use_the_same_session_and_each_answers_with_its_own(saved: Any):
    first = ServedTowers(saved("a", [[1.0], [0.0]]))
    second = ServedTowers(saved("b", [[0.0], [1.0]]), like=first)
    assert second.shares_session_with(first)
    for towers, expected in ((first, [2.0, 4.0]), (second, [3.0, 5.0]), (first, [2.0, 4.0])):
        found = towers({"pooled_0": ROWS})
        np.testing.assert_array_equal(found["pctr"], np.array(expected) * 2)
        np.testing.assert_array_equal(found["pcvr"], -np.array(expected))


def test_another_graph_gets_a_session_of_its_own(saved: Any):
    first = ServedTowers(saved("a", [[1.0], [0.0]]))
    second = ServedTowers(saved("b", [[1.0], [0.0]], factor=3.0), like=first)
    assert not second.shares_session_with(first)
    np.testing.assert_array_equal(second({"pooled_0": ROWS})["pctr"], [6.0, 12.0])


def test_numbers_that_an_export_gives_to_names_are_no_difference(saved: Any):
    def form(folder: Path) -> Any:
        return network_form(SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0])

    before = form(saved("a", [[1.0], [0.0]]))
    assert form(saved("b", [[2.0], [5.0]])) == before
    assert form(saved("c", [[1.0], [0.0]], factor=2.5)) != before
