"""Settings of the tables."""

import pytest

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.optimizers import Adagrad, Adam, Ftrl, RowwiseAdagrad, Sgd
from esmm_dist.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding_dim": 0}, "embedding_dim is 0. An embedding row needs at least 1 column"),
        ({"embedding_dim_by_table": {"user": -2}}, "user is -2. An embedding row needs at least 1 column"),
        ({"embedding_learning_rate": 0.0}, "embedding_learning_rate is 0.0. Set a positive number"),
        ({"embedding_l2": -1.0}, "embedding_l2 is -1.0. Set 0 or more"),
        ({"start_scale": -0.1}, "start_scale is -0.1. Set 0 or more"),
        ({"start_accumulator": -0.1}, "start_accumulator is -0.1. Set 0 or more"),
        ({"embedding_momentum": 1.0}, r"embedding_momentum is 1.0. Set a number in \[0, 1\)"),
        ({"adam_beta_1": -0.1}, r"adam_beta_1 is -0.1. Set a number in \[0, 1\)"),
        ({"adam_beta_2": 1.5}, r"adam_beta_2 is 1.5. Set a number in \[0, 1\)"),
        ({"ftrl_l1": -0.1}, "ftrl_l1 is -0.1. Set 0 or more"),
        ({"admit_after": 0}, r"admit_after is 0. Set 1 \(every id at once\) or more impressions"),
        ({"admit_after": 1 << 32}, r"admit_after is 4294967296. Set 4294967295 or less"),
        ({"evict_every_steps": -1}, "evict_every_steps is -1. Set 0 or more"),
        ({"max_rows": -1}, "max_rows is -1. Set 0 or more"),
        (
            {"evict_every_steps": 9},
            "evict_every_steps is 9 and no limit is set. An eviction needs a period and a limit",
        ),
        ({"ttl_steps": 5, "max_rows": 2}, "evict_every_steps is 0 and ttl_steps and max_rows is set"),
        (
            {"ftrl_l1": 0.5},
            "ftrl_l1 is 0.5, which ftrl alone uses, and embedding_optimizer is adagrad. Set ftrl_l1 to 0.0, or "
            "embedding_optimizer to ftrl",
        ),
        ({"ftrl_l2": 0.5, "embedding_optimizer": "sgd"}, "ftrl_l2 is 0.5, which ftrl alone uses"),
        ({"embedding_momentum": 0.5, "embedding_optimizer": "adam"}, "embedding_momentum is 0.5, which sgd alone uses"),
        ({"adam_beta_1": 0.5}, "adam_beta_1 is 0.5, which adam alone uses"),
        ({"adam_beta_2": 0.5, "embedding_optimizer": "ftrl"}, "adam_beta_2 is 0.5, which adam alone uses"),
        ({"row_slices": 0}, "row_slices is 0. Leave it out"),
        (
            {"row_slices": 2, "embedding_optimizer": "rowwise_adagrad"},
            "Set embedding_optimizer to adagrad, or share_embeddings to true",
        ),
        (
            {"embedding_optimizer": "ftrl", "start_accumulator": 0.0},
            "start_accumulator is 0, by which ftrl would divide",
        ),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value(settings, message):
    with pytest.raises(ConfigError, match=message):
        EmbeddingConfig(**settings)


def test_a_table_may_have_a_dimension_of_its_own():
    config = EmbeddingConfig(embedding_dim=4, embedding_dim_by_table={"wide": 32})
    assert (config.dim_of("wide"), config.dim_of("main")) == (32, 4)


def test_a_row_has_the_columns_of_all_its_slices():
    config = EmbeddingConfig(embedding_dim=4, embedding_dim_by_table={"wide": 32}, row_slices=3)
    assert (config.dim_of("wide"), config.dim_of("main")) == (96, 12)
    assert (config.slice_dim_of("wide"), config.slice_dim_of("main")) == (32, 4)


@pytest.mark.parametrize(
    ("name", "momentum", "kind", "slot_columns"),
    [
        ("adagrad", 0.0, Adagrad, 6),
        ("rowwise_adagrad", 0.0, RowwiseAdagrad, 1),
        ("adam", 0.0, Adam, 12),
        ("sgd", 0.0, Sgd, 0),
        ("sgd", 0.9, Sgd, 6),
        ("ftrl", 0.0, Ftrl, 12),
    ],
)
def test_the_name_of_an_optimizer_decides_class_and_slot_variables(name, momentum, kind, slot_columns):
    optimizer = EmbeddingConfig(embedding_optimizer=name, embedding_momentum=momentum).make_optimizer()
    assert isinstance(optimizer, kind)
    assert optimizer.slot_columns(6) == slot_columns
