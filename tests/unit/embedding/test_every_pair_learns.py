"""Every optimizer of rows learns under every schedule, with every regularisation and admission that may be set."""

import itertools
from typing import Any, get_args

import numpy as np
import pytest

from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.embedding.optimizers import OptimizerName
from esmm_dist.errors import ConfigError
from esmm_dist.train.learning_rate import LearningRateSchedule, Schedule

DIM, STEPS = 3, 80
IDS = np.arange(12)
TARGETS = np.where(np.random.default_rng(3).random((len(IDS), DIM)) < 0.5, -1.0, 1.0).astype(np.float32)

RATES: dict[str, float] = {"adagrad": 0.5, "rowwise_adagrad": 0.5, "adam": 0.2, "sgd": 0.3, "ftrl": 0.5}
"""At which 40 steps at a constant rate go the whole way."""

COURSES: list[dict[str, Any]] = [
    {"warmup_steps": warmup, "cooldown": cooldown} for warmup in (0, 10) for cooldown in (0.0, 0.2, 1.0)
]
REGULARISATIONS: list[dict[str, Any]] = [
    {},
    {"embedding_l2": 0.01},
    {"embedding_momentum": 0.5},
    {"ftrl_l1": 0.05},
    {"ftrl_l2": 0.05},
    {"ftrl_l1": 0.05, "ftrl_l2": 0.05, "embedding_l2": 0.01},
]
ADMISSIONS: list[dict[str, Any]] = [
    {},
    {"admit_after": 6},
    {"evict_every_steps": 20, "ttl_steps": 20},
    {"evict_every_steps": 20, "max_rows": len(IDS)},
]
ALONE = {"embedding_momentum": "sgd", "ftrl_l1": "ftrl", "ftrl_l2": "ftrl"}
"""Settings that one optimizer has."""


def rest_of_the_way(config: EmbeddingConfig, course: LearningRateSchedule) -> float:
    """Train rows towards their targets (the loss is half the squared distance); return what is left of the way."""
    store = EmbeddedStore(("main",), config, seed=1)
    for step in range(1, STEPS + 1):
        ticket = store.prepare("main", IDS, np.full(len(IDS), 2))
        rows = store.pull(ticket, step=step)
        store.push(
            ticket,
            2 * (rows - TARGETS),  # of two impressions
            impressions=2,
            step=step,
            rate_factor=course.factor(step),
        )
        if config.evict_every_steps and step % config.evict_every_steps == 0:
            store.evict(step=step)
    return float(np.abs(store.pull(store.prepare("main", IDS)) - TARGETS).mean())


def test_the_product_is_that_of_the_settings():
    assert set(RATES) == set(get_args(OptimizerName)) != set()
    assert get_args(Schedule)
    assert rest_of_the_way(
        EmbeddingConfig(embedding_dim=DIM, embedding_learning_rate=1e-9), LearningRateSchedule(total_steps=80)
    )


@pytest.mark.parametrize("schedule", get_args(Schedule))
@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_every_pair_that_can_be_set_learns_and_every_other_is_refused(optimizer, schedule):
    learned = refused = 0
    for course, regularisation, admission in itertools.product(COURSES, REGULARISATIONS, ADMISSIONS):
        settings: dict[str, Any] = {"embedding_optimizer": optimizer, **regularisation, **admission}
        alien = [name for name in regularisation if ALONE.get(name, optimizer) != optimizer]
        if alien:
            with pytest.raises(ConfigError, match=f"{alien[0]} is .*, which {ALONE[alien[0]]} alone uses"):
                EmbeddingConfig(**settings)
            refused += 1
            continue
        config = EmbeddingConfig(embedding_dim=DIM, embedding_learning_rate=RATES[optimizer], **settings)
        rest = rest_of_the_way(config, LearningRateSchedule(total_steps=STEPS, schedule=schedule, **course))
        # inverse_sqrt without a warm-up has the fewest and smallest steps: 17 full ones in all
        assert rest < 0.5, (settings, course, rest)
        learned += 1
    assert (learned + refused, learned > 0, refused > 0) == (6 * 6 * 4, True, True)
