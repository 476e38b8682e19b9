"""Batches are scored in the order of one process, whatever the number of ranks."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from esmm_dist.calibration.logit_transform import LogitTransform
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.embedding.embedded_store import EmbeddedStore
from esmm_dist.inference.evaluate import evaluate_batches
from esmm_dist.inference.scoring import LabelledBatch, ScoredBatch, Scorer, own_batches, scored_batches
from esmm_dist.input.config import InputConfig
from esmm_dist.input.order import RankShare
from esmm_dist.input.pipeline import BatchReader
from esmm_dist.input.users import BatchUsers
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.forward import CompiledForward
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.schema.manifest import read_manifest
from tests.support.thread_ranks import on_thread_ranks
from tests.support.tiny_dataset import (
    flat_schema,
    sample_name,
    tiny_groups,
    tiny_schema,
    weighted,
    weighted_schema,
    write_dataset,
)
from tests.unit.inference.two_ranks import Recorder, on_all_ranks

GROUPS = tiny_groups(23)
EMBEDDING = EmbeddingConfig(embedding_dim=4, start_scale=1.0)

SCHEMAS = {
    "plain": tiny_schema(),
    "weighted": weighted_schema(),
    "named by texts": flat_schema("text"),
    "longer chain": tiny_schema(labels=("click", "cart", "order")),
}


@pytest.fixture(scope="module", params=SCHEMAS, ids=list(SCHEMAS))
def data(request, tmp_path_factory):
    """A data set of 23 records in 4 lanes, and its model with start values."""
    schema, folder = SCHEMAS[request.param], tmp_path_factory.mktemp("data")
    groups = GROUPS
    if schema.has_sample_weights:
        groups = weighted(groups, lambda sample_id: 1.0 + sample_id % 3)
    if len(schema.labels) == 3:
        groups = [
            replace(group, impressions=[replace(i, labels=(*i.labels, i.labels[1])) for i in group.impressions])
            for group in groups
        ]
    write_dataset(folder, {"test": groups}, schema=schema)
    model = Esmm(schema, EMBEDDING, ModelConfig(hidden_units=(5,)), seed=1)
    scorer = Scorer(
        schema=schema,
        store=EmbeddedStore(schema.tables, EMBEDDING, seed=1),
        forward=CompiledForward(model),
        transform=LogitTransform(),
    )
    return folder, scorer


def reader(data, world, records: int = 8) -> BatchReader:
    folder, _ = data
    manifest = read_manifest(folder)
    return BatchReader(
        folder,
        manifest,
        "test",
        InputConfig(global_batch_records=records),
        share=RankShare(rank=world.rank, world_size=world.size),
        with_names=True,
    )


def scored(data, world, *, records: int = 8) -> list[ScoredBatch]:
    return list(scored_batches(data[1], reader(data, world, records), world))


def own(data, world, *, records: int = 8) -> list[LabelledBatch]:
    users = BatchUsers(data[1].schema, "user")
    return list(own_batches(data[1], reader(data, world, records), users))


@pytest.mark.parametrize("size", [2, 3, 5])  # 5: one rank has no lane at all
def test_every_rank_gets_the_batches_of_one_process(data, size):
    alone = scored(data, SoloWorld())
    for found in on_all_ranks(lambda world: scored(data, world), size=size):
        assert len(found) == len(alone) == 3
        for batch, expected in zip(found, alone, strict=True):
            np.testing.assert_array_equal(batch.sample_ids, expected.sample_ids)
            # A matrix product may add in another order for another number of rows
            np.testing.assert_allclose(batch.logits, expected.logits, rtol=1e-5, atol=1e-6)
            assert (batch.sample_names is None) == (expected.sample_names is None)
            if expected.sample_names is not None:
                assert batch.sample_names.tolist() == expected.sample_names.tolist()


def test_a_batch_holds_what_the_records_hold(data):
    _, scorer = data
    expected = {i.sample_id: (group, i) for group in GROUPS for i in group.impressions}
    batches = scored(data, SoloWorld())
    assert sum(batch.num_impressions for batch in batches) == len(expected)
    for batch, labelled in zip(batches, own(data, SoloWorld()), strict=True):
        np.testing.assert_array_equal(batch.logits, labelled.logits)
        for place, sample_id in enumerate(batch.sample_ids.tolist()):
            group, impression = expected[sample_id]
            assert labelled.labels[place, :2].tolist() == list(impression.labels)
            assert labelled.users[place] == group.fields[0][0][0]
            if scorer.schema.has_sample_weights:
                assert labelled.weights is not None
                assert labelled.weights[place] == 1.0 + sample_id % 3
            if scorer.schema.has_text_sample_ids:
                assert batch.sample_names is not None
                assert batch.sample_names[place] == sample_name(sample_id)


@pytest.mark.parametrize("size", [2, 5])  # 5: one rank has no lane at all
def test_the_ranks_share_the_impressions_of_each_batch(data, size):
    alone = own(data, SoloWorld())
    ranks = [own(data, world) for world in (Recorder(rank, size) for rank in range(size))]
    assert [len(batches) for batches in ranks] == [len(alone)] * size
    for shares, whole in zip(zip(*ranks, strict=True), alone, strict=True):
        assert sum(share.num_impressions for share in shares) == whole.num_impressions
        gathered = np.concatenate([share.users for share in shares])
        assert sorted(gathered.tolist()) == sorted(whole.users.tolist())


def test_the_threads_that_read_ahead_end_with_the_iterator(data):
    batches = scored_batches(data[1], reader(data, SoloWorld(), 4), SoloWorld())
    next(batches)
    assert any(thread.name == "prefetch" for thread in threading.enumerate())
    batches.close()
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())


def test_scores_do_not_depend_on_the_size_of_a_batch(data):
    small, large = (
        {
            sample_id: batch.logits[place]
            for batch in scored(data, SoloWorld(), records=records)
            for place, sample_id in enumerate(batch.sample_ids.tolist())
        }
        for records in (4, 100)
    )
    assert small.keys() == large.keys()
    for sample_id, logits in small.items():
        np.testing.assert_allclose(logits, large[sample_id], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("most", [1, 20, 21, 10_000])
def test_evaluation_ends_with_the_batch_that_reaches_the_most_impressions(data, most):
    _, scorer = data
    sizes = [batch.num_impressions for batch in own(data, SoloWorld())]
    used, expected = 0, 0
    for used in np.cumsum(sizes).tolist():
        expected = used
        if used >= most:
            break
    metrics = evaluate_batches(iter(own(data, SoloWorld())), scorer.schema.label_tree, NoProgress(), SoloWorld(), most)
    first = next(iter(metrics.values()))
    assert first.impressions == expected


def test_evaluation_without_a_limit_uses_every_impression_and_of_none_is_nan(data):
    _, scorer = data
    tree = scorer.schema.label_tree
    total = sum(len(group.impressions) for group in GROUPS)
    metrics = evaluate_batches(own(data, SoloWorld()), tree, NoProgress(), SoloWorld())
    assert next(iter(metrics.values())).impressions == total
    nothing = evaluate_batches([], tree, NoProgress(), SoloWorld())
    assert all(np.isnan(task.auc) and task.impressions == 0 for task in nothing.values())


@pytest.mark.parametrize("most", [0, 20])
def test_ranks_find_the_metrics_of_one_process_and_end_together(data, most):
    tree = data[1].schema.label_tree

    def work(world):
        return evaluate_batches(own(data, world), tree, NoProgress(), world, most)

    alone = work(SoloWorld())
    for found in on_thread_ranks(work, size=3):
        for name, task in alone.items():
            assert (found[name].impressions, found[name].positives) == (task.impressions, task.positives)
            # Scores of another number of rows may differ in their last bit, and ties by it
            assert found[name].auc == pytest.approx(task.auc, rel=1e-3, nan_ok=True)
            assert found[name].log_loss == pytest.approx(task.log_loss, rel=1e-6, nan_ok=True)
