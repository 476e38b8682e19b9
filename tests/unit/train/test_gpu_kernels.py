"""On a GPU no operation of a step lacks a deterministic kernel, whatever is set: shown from the traced graph."""

import dataclasses
import mmap
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import tensorflow as tf

from esmm_dist.config import build
from esmm_dist.model.objectives.config import objective_names
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.fields import Combiner, Field, Schema
from esmm_dist.train.compiled_model import CompiledModel, compile_model
from esmm_dist.train.config import TrainConfig
from tests.support.gpu_kernels import DETERMINISTIC, REFUSED, on_cpu, on_gpu, operations
from tests.support.network_cases import NETWORK_CASES
from tests.support.tiny_dataset import tiny_schema
from tests.unit.train.test_compiled_step import Elastic

NETWORKS = "tests.unit.model.own_networks"

CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "deterministic": {"deterministic": False},
    "network of layers": {"model": {"network": f"{NETWORKS}:Normalised"}},
    "network with dropout": {"model": {"network": f"{NETWORKS}:Dropped"}},
    "network dcn, cross_layers, cross_rank": {
        "model": {"network": "dcn", "cross_layers": 3, "cross_rank": 4, "dropout": 0.5},
        "hardware": {"mixed_precision": True},
    },
    "network deepfm, linear_scale": {
        "model": {"network": "deepfm", "linear_scale": 1.0, "dropout": 0.5},
        "hardware": {"mixed_precision": True},
    },
    "hidden_units, dense_optimizer sgd": {"model": {"hidden_units": []}, "dense": {"dense_optimizer": "sgd"}},
    "share_network, dropout a layer": {"model": {"share_network": True, "hidden_units": [8, 4], "dropout": [0.5, 0.2]}},
    "network din, attend, attention_units": {
        "model": {"network": "din", "attend": ["history=item"], "attention_units": [3, 2], "dropout": 0.5},
        "hardware": {"mixed_precision": True},
    },
    "networks a label": {"model": {"network": ["mlp", f"{NETWORKS}:Dropped"], "linear_scale": 2.0}},
    "fields": {"model": {"fields": ["item", "tags"]}},
    **{
        f"{name}: {', '.join(settings)}": {"model": {"hidden_units": [8, 4], "dropout": [0.5, 0.2], **settings}}
        for name, settings in NETWORK_CASES.items()
    },
    "ple in mixed_precision": {"model": NETWORK_CASES["ple"], "hardware": {"mixed_precision": True}},
    "dropout, linear_scale, task_weights": {"model": {"dropout": 0.5, "linear_scale": 2.0, "task_weights": [1.0, 0.5]}},
    "linear_lists": {"model": {"linear_scale": 2.0, "linear_lists": "unit"}},
    "linear_lists pooled": {"model": {"linear_scale": 2.0, "linear_lists": "pooled"}},
    "mixed_precision, dense_optimizer adam, dense_learning_rate, dense_adam_epsilon": {
        "hardware": {"mixed_precision": True},
        "dense": {"dense_optimizer": "adam", "dense_learning_rate": 0.5, "dense_adam_epsilon": 1e-6},
    },
    "share_embeddings": {"model": {"share_embeddings": False}},
    "objective division": {"model": {"objective": "division"}},
    "objective base, amt": {"model": {"objective": "base", "linear_scale": 2.0}},
    "objective oversampling, oversampling_factor": {"model": {"objective": "oversampling", "oversampling_factor": 3.0}},
    "objective unbias, propensity_floor": {"model": {"objective": "unbias", "propensity_floor": 0.1}},
    "objective escm2-ips, risk_weight": {"model": {"objective": "escm2-ips", "risk_weight": 0.1}},
    "objective escm2-dr, imputation_weight": {"model": {"objective": "escm2-dr", "imputation_weight": 0.5}},
    "objective dcmt, counterfactual_weight": {"model": {"objective": "dcmt", "counterfactual_weight": 0.1}},
    "xla": {"hardware": {"xla": True}},
    "all at once, dense_optimizer adagrad": {
        "model": {"hidden_units": [8, 4], "dropout": 0.5, "linear_scale": 2.0, "task_weights": [1.0, 0.5]},
        "hardware": {"mixed_precision": True, "xla": True},
        "dense": {"dense_optimizer": "adagrad"},
    },
}
"""By the settings that they change. ``test_each_setting_has_a_case`` finds one that shapes the graph and is missing."""

IN_SHORT = (
    "defaults",
    "network with dropout",
    "network din, attend, attention_units",
    "objective dcmt, counterfactual_weight",
    "all at once, dense_optimizer adagrad",
)
"""A plain one, one with the most operations of each kind, and most settings together; all of them are slow tests."""


def schemas() -> dict[str, Schema]:
    """Every combiner and several tables, a longer chain, and no field of users."""
    fields = tiny_schema().fields
    combiners = [
        dataclasses.replace(fields[3], name=f"tags_{name}", combiner=name, weighted=True) for name in get_args(Combiner)
    ]
    brand = Field(name="brand", owner="item", table="brands")
    return {
        "combiners and tables": tiny_schema(fields=(*fields, *combiners, brand)),
        "chain": tiny_schema(labels=("click", "cart", "conversion")),
        "items": tiny_schema(fields=fields[2:]),
    }


def compiled(changes: dict[str, Any], schema: Schema, world: Any = None) -> CompiledModel:
    settings = {"data": "d", "run": "r", "embedding": {"embedding_dim": 5}, "model": {}, **changes}
    if len(schema.labels) != 2:
        settings["model"] = {
            name: value for name, value in settings["model"].items() if name not in ("task_weights", "network")
        }
    return compile_model(build(TrainConfig, settings, where="test"), schema, world or SoloWorld())


def towers_of(side: CompiledModel) -> list[Any]:
    return [function.get_concrete_function().graph for function in (side.step._gradients, side.forward._forward)]


def graphs(side: CompiledModel) -> list[Any]:
    return [*towers_of(side), side.step._apply.get_concrete_function().graph]


def assert_deterministic(side: CompiledModel) -> None:
    for graph in graphs(side):
        found = on_gpu(graph)
        assert found <= DETERMINISTIC, sorted(found - DETERMINISTIC)
        assert not [device for _, device, _ in operations(graph) if device]  # pooling, beside the rows, is not in it
    assert all("MatMul" in on_gpu(graph) for graph in towers_of(side))  # they do run there


BESIDE_THE_GPU = {
    "Const": "shapes and axes, int32",
    "Range": "axes, int32",
    "BroadcastGradientArgs": "shapes",
    "ConcatV2": "shapes, int32",
    "ConcatOffset": "shapes, int32",
    "Fill": "shapes, int32",
    "ReadVariableOp": "where the variable is: the GPU has a kernel of it for each type of what is read",
    "If": "calls one of two functions, whose operations are looked at by themselves",
    "IdentityN": "the result of a function",
}
"""Operations of a step that stay on the CPU, all without a pooled vector or a weight in their arguments."""


def test_what_stays_on_the_cpu_of_a_machine_with_a_gpu_moves_shapes_alone():
    for graph in graphs(compiled({}, tiny_schema())):
        assert on_cpu(graph) <= set(BESIDE_THE_GPU), sorted(on_cpu(graph) - set(BESIDE_THE_GPU))


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in IN_SHORT else pytest.mark.slow) for case in CASES]
)
def test_no_operation_of_a_step_lands_on_a_gpu_without_a_deterministic_kernel(case):
    assert_deterministic(compiled(CASES[case], tiny_schema()))


@pytest.mark.parametrize("name", schemas())
def test_nor_with_any_schema(name):
    assert_deterministic(compiled({}, schemas()[name]))


def test_nor_where_steps_can_be_undone():
    assert_deterministic(compiled({}, tiny_schema(), Elastic()))


def test_each_setting_has_a_case():
    assert set(IN_SHORT) < set(CASES)
    hints = get_type_hints(TrainConfig)
    settings = [each.name for group in ("model", "hardware", "dense") for each in dataclasses.fields(hints[group])]
    assert len(settings) > 5
    for name in (*settings, "deterministic"):
        assert any(name in case for case in CASES), name
    for name in get_args(get_type_hints(hints["dense"])["dense_optimizer"]):
        assert any(f"dense_optimizer {name}" in case for case in CASES), name
    for name in objective_names():
        assert name == "esmm" or any(name in case for case in CASES), name
    assert len(get_args(Combiner)) == 3


def test_the_registry_here_knows_the_kernels_of_gpus():
    """Else everything above would pass for want of kernels: the pooling without its device is found."""

    @tf.function
    def pooled(indices: Any, weights: Any, rows: Any) -> Any:
        return tf.raw_ops.SparseTensorDenseMatMul(a_indices=indices, a_values=weights, a_shape=[3, 4], b=rows)

    specs = tf.TensorSpec([None, 2], tf.int64), tf.TensorSpec([None], tf.float32), tf.TensorSpec([4, 2], tf.float32)
    assert "SparseTensorDenseMatMul" in on_gpu(pooled.get_concrete_function(*specs).graph)
    assert not DETERMINISTIC & set(REFUSED)


def test_what_tensorflow_refuses_is_what_its_library_says():
    """Another version would say something else: then the list, and what is known of each operation, need a look."""
    library = Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        messages = [
            message
            for words in (b"eterministic GPU implementation of ", b"Determinism is not yet supported ")
            for message in _texts_with(text, words)
        ]
    assert len(messages) > 10
    known = (*REFUSED.values(), "segment reduction op not available")  # refused before there were such kernels
    assert [message for message in messages if not any(words in message for words in known)] == []


def _texts_with(text: Any, words: bytes) -> list[str]:
    """Return the NUL-terminated texts of a library that hold some words."""
    found, at = [], 0
    while (at := text.find(words, at)) >= 0:
        start = max(text.rfind(b"\0", max(0, at - 500), at) + 1, 0)
        end = text.find(b"\0", at)
        found.append(text[start:end].decode(errors="replace"))
        at = end
    return found
