"""BASE networks of ordinary Keras layers: start values, masks, and what is refused."""

import random
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from esmm_dist.config import build
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.errors import ConfigError
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.dense_state import dense_state
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.pooled_fields import FieldLayout
from esmm_dist.model.towers import make_towers
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.train.compiled_step import CompiledStep
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from esmm_dist.train.trainer import Trainer
from tests.support.tiny_dataset import tiny_groups, tiny_schema, write_dataset
from tests.unit.model import own_networks
from tests.unit.train.test_compiled_step import DIM, inputs

HERE = "tests.unit.model.own_networks"

LAYOUT = FieldLayout(user_dims={"u": 1}, impression_dims={"i": 63})

LEARN = ["DefaultDense", "ByName", "AsObjects", "AsFunction", "Normalised", "Dropped", "Noisy", "Frozen", "Regularised"]


def model_of(name: str, *, seed: int = 1) -> Esmm:
    return Esmm(tiny_schema(), EmbeddingConfig(embedding_dim=DIM), ModelConfig(network=(f"{HERE}:{name}",)), seed=seed)


def step_of(model: Esmm, optimizer: keras.optimizers.Optimizer, *, seed: int = 1) -> CompiledStep:
    return CompiledStep(model, optimizer, task_weights=(1.0, 1.0), seed=seed, world=SoloWorld())


def values_of(model: Esmm) -> list[np.ndarray]:
    return [np.array(weight.numpy()) for weight in model.weights]


def generator_states() -> tuple[Any, list[int]]:
    """Return the states of Python's and NumPy's global generators."""
    numpy: Any = np.random.get_state()
    return random.getstate(), numpy[1].tolist()


@pytest.fixture(autouse=True)
def _deterministic():
    """As a training has it: random operations without a seed are errors then."""
    tf.config.experimental.enable_op_determinism()


@pytest.mark.parametrize("name", LEARN)
def test_start_values_follow_from_the_runs_seed_alone_and_differ_between_towers(name):
    first = values_of(model_of(name))
    random.seed(99), np.random.seed(98), tf.random.set_seed(97)
    before = generator_states()
    second, other = values_of(model_of(name)), values_of(model_of(name, seed=2))
    assert generator_states() == before
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.any(a != b) for a, b in zip(first, other, strict=True))
    half = len(first) // 2
    assert any(np.any(a != b) for a, b in zip(first[:half], first[half:], strict=True))


@pytest.mark.parametrize("name", LEARN)
def test_a_network_of_keras_layers_learns(name):
    model = model_of(name)
    step = step_of(model, keras.optimizers.Adam(0.05))
    frozen = [np.array(w.numpy()) for w in model.non_trainable_weights]
    losses = [float(step(inputs(), number).loss_sums.sum()) for number in range(1, 41)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    for weight, before in zip(model.non_trainable_weights, frozen, strict=True):
        np.testing.assert_array_equal(weight.numpy(), before)


@pytest.mark.parametrize("name", ["Dropped", "Noisy"])
def test_masks_and_noise_of_keras_layers_follow_seed_and_step_alone(name):
    model = model_of(name)
    step = step_of(model, keras.optimizers.SGD(0.0))

    def losses(number: int) -> list[float]:
        return [float(loss) for loss in step(inputs(), number).loss_sums]

    assert losses(5) == losses(5)
    assert losses(5) != losses(6)
    assert step_of(model, keras.optimizers.SGD(0.0), seed=2)(inputs(), 5).loss_sums.tolist() != losses(5)
    # Outside training nothing is dropped, and what is not trained changes nothing
    forward = [model({"main": tf.ones([10, DIM])}, tf.constant([0, 1, 1], tf.int64), tf.constant(2, tf.int64))] * 2
    np.testing.assert_array_equal(*forward)


def test_a_dropout_layer_that_is_used_twice_draws_two_masks_and_none_of_the_next_step():
    (tower,) = make_towers(ModelConfig(network=(f"{HERE}:OnceMore",)), LAYOUT, [0], seed=1)
    masks = []
    for number in (5, 6):
        seeds: list[list[int]] = []
        original = keras.random.SeedGenerator.next

        def noting(self, ordered=True, seeds=seeds, original=original):
            value = original(self, ordered)
            seeds.append(value.numpy().tolist())
            return value

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keras.random.SeedGenerator, "next", noting)
            own_networks_call(tower, tf.constant([7, number]))
        masks += seeds
    assert len(masks) == 4
    assert len({tuple(mask) for mask in masks}) == 4


def own_networks_call(tower: own_networks.OnceMore, dropout_seed: tf.Tensor) -> None:
    from esmm_dist.model.towers import _InTraining, outputs_of

    class Model(_InTraining):
        def call(self, pooled, dropout_seed, training=False):
            return outputs_of(self.tower, pooled, dropout_seed)

    fields = LAYOUT.pooled(tf.ones([1, 1]), tf.ones([2, 63]), tf.zeros([2], tf.int64))
    Model(tower)(fields, dropout_seed=dropout_seed, training=True)


def test_a_weight_regulariser_adds_its_gradient_to_the_mean_over_impressions():
    plain, penalised = model_of("DefaultDense"), model_of("Regularised")
    for weight, other in zip(penalised.weights, plain.weights, strict=True):
        other.assign(weight)
    for tower in plain.towers:
        tower.hidden[0].activation = keras.activations.linear
    start = values_of(plain)
    for model in (plain, penalised):
        step_of(model, keras.optimizers.SGD(1.0))(inputs(), 1)
    for number, (old, a, b) in enumerate(zip(start, values_of(plain), values_of(penalised), strict=True)):
        # The gradient of 0.5 w² is w; each tower's weights are hidden kernel, bias, logit kernel, bias
        np.testing.assert_allclose(a - b, old if number % 4 == 0 else 0 * old, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "BatchNormalised",
            "network .*BatchNormalised': the call changes the variable .*moving_.*, as BatchNormalization does"
            ".* one rank's share .*keras.layers.LayerNormalization",
        ),
        ("ActivityRegularised", r"the call adds a loss \(add_loss, or an activity_regularizer\)"),
        (
            "Squeezed",
            r"returns float32 \[2\] for two impressions, not float32 \[2, 1\]. .*keras.layers.Dense\(outputs\)",
        ),
        ("OfUsers", r"returns float32 \[1, 1\] for two impressions"),
        ("Failing", "fails on a batch of one user and two impressions: TypeError: .*a mistake"),
    ],
)
def test_what_training_cannot_keep_track_of_is_refused_with_the_reason(name, message):
    with pytest.raises(ConfigError, match=re.compile(message, re.DOTALL)):
        model_of(name)


README = Path(__file__).parents[3].joinpath("esmm_dist/model/README.md").read_text()
COMMANDS = re.findall(r"--network (my_networks:\w+)(.*)", README)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A log whose user and item have the aliases that the README's networks ask for."""
    folder = tmp_path_factory.mktemp("data")
    user, history, item, tags = tiny_schema().fields
    fields = (replace(user, alias="user_id"), history, replace(item, alias="item_id"), tags)
    splits = {"train": tiny_groups(320), "test": tiny_groups(100, seed=2, first_sample=5000)}
    write_dataset(folder, splits, schema=tiny_schema(fields=fields))
    return folder


@pytest.fixture
def _readme(tmp_path, monkeypatch):
    """The networks of the README, in a module of a user's."""
    examples = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(examples) == 2
    (tmp_path / "my_networks.py").write_text("\n\n".join(examples))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)


@pytest.mark.usefixtures("_readme")
@pytest.mark.parametrize(("name", "flags"), COMMANDS)
def test_the_readmes_networks_train_and_a_resumed_run_has_the_same_bits(data, tmp_path, name, flags):
    model = {"network": name, "hidden_units": [8, 4], "share_network": "--share-network" in flags}
    if "--dropout" in flags:
        model["dropout"] = 0.2

    def config(run: str, **changes) -> TrainConfig:
        settings = {
            "data": data,
            "run": str(tmp_path / run),
            "input": {"global_batch_records": 16, "epochs": 2},
            "embedding": {"embedding_dim": 4, "embedding_learning_rate": 0.2},
            "model": model,
            "dense": {"dense_learning_rate": 0.01},
        }
        return build(TrainConfig, {**settings, **changes}, where="test")

    result = train(config("whole"), NoProgress())
    assert result.metrics["ctr"].auc > 0.7  # 0.8 is the best possible, see test_training.py
    for steps in (17, 40):
        train(config("stopped", max_steps=steps), NoProgress())
    found, expected = (Trainer(config(run), NoProgress()) for run in ("stopped", "whole"))
    states = [dense_state(t._state.compiled.model, t._state.compiled.optimizer) for t in (found, expected)]
    for key, value in states[1].items():
        np.testing.assert_array_equal(states[0][key], value, err_msg=key)


def test_the_readme_has_a_network_of_each_label_and_one_that_all_share():
    assert [(name.partition(":")[2], "--share-network" in flags) for name, flags in COMMANDS] == [
        ("UserMeetsItem", False),
        ("UserMeetsItem", True),
        ("NormalisedLayers", False),
    ]
