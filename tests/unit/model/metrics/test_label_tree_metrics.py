"""Metrics of impressions that are collected: those of the formulas, whatever the batches, the memory and the ranks."""

import math
import tempfile
import tracemalloc
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.input.users import NO_USER
from esmm_dist.model.metrics import auc_standard_error, calibration, exact_auc, gauc, log_loss
from esmm_dist.model.metrics.label_tree_metrics import ROWS_IN_MEMORY, LabelTreeMetrics, evaluate_scores
from esmm_dist.schema.label_tree import LabelTree
from tests.support.label_trees import label_trees
from tests.support.thread_ranks import on_thread_ranks
from tests.unit.model.metrics.formulas import by_decile, calibration_error

CHAIN = LabelTree.of(("click", "conversion"))


def impressions(size, seed, *, tree=CHAIN, weighted=False, ties=True):
    """Return labels, logits, users and weights: some ties, some unknown users, users with one impression."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 2, (size, len(tree.names))).astype(np.float32)
    if ties:
        logits = np.round(logits * 2) / 2
    labels = (random.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    for label, parent in enumerate(tree.parents):
        if parent >= 0:
            labels[:, label] *= labels[:, parent]
    users = random.integers(-1, 1 + size // 4, size)
    weights = random.choice([0, 0.3, 1, 2.5], size).astype(np.float32) if weighted else None
    return labels, logits, users, weights


def collected(rows, cuts, *, tree=CHAIN, world=None, rows_in_memory=ROWS_IN_MEMORY, most=(3, 40)):
    """Return the report of each task, with two kinds of keys: the users, and the users modulo 5."""
    labels, logits, users, weights = rows
    keys = users, np.where(users < 0, users, users % 5)
    with LabelTreeMetrics(tree, scale="logit", rows_in_memory=rows_in_memory, segments=most) as metrics:
        for cut in cuts:
            weight = None if weights is None else weights[cut]
            metrics.add(labels[cut], logits[cut], users[cut], weight, [each[cut] for each in keys])
        return metrics.report(world)


def by_formulas(rows, tree=CHAIN):
    """Return the metrics of each task by the functions that hold all scores at once."""
    labels, logits, users, weights = rows
    log_p = -np.logaddexp(0.0, -logits.astype(np.float64))
    everything = np.ones(len(labels), np.bool_)
    tasks = [(log_p[:, 0], 0, everything)]
    for label, parent in enumerate(tree.parents):
        if parent >= 0:
            tasks.append((log_p[:, label], label, labels[:, parent] == 1))
            tasks.append((sum(log_p[:, place] for place in tree.path(label)), label, everything))
    found = {}
    for task, (scores, label, chosen) in zip(tree.task_names, tasks, strict=True):
        s, y = scores[chosen], labels[chosen, label]
        w = None if weights is None else weights[chosen]
        by_user = gauc(s, y, users[chosen], w)
        deciles = by_decile(s, y, w)
        found[task] = {
            "auc": exact_auc(s, y, w),
            "auc_standard_error": auc_standard_error(s, y, w),
            "log_loss": log_loss(s, y, w),
            "calibration": calibration(np.exp(s), y, w),
            "positives": int(y.sum()),
            "impressions": int(chosen.sum()),
            "gauc": by_user.value,
            "gauc_users": by_user.users,
            "gauc_one_class_users": by_user.one_class_users,
            "calibration_standard_error": calibration_error(np.exp(s), y, w),
            "expected_calibration_error": distance(deciles),
            "calibration_error_of_noise": noise(deciles),
        }
    return found


def distance(deciles):
    total = sum(each["weight"] for each in deciles)
    parts = [each["weight"] * abs(each["mean_prediction"] - each["mean_label"]) for each in deciles]
    return sum(parts) / total if deciles else math.nan


def noise(deciles):
    total = sum(each["weight"] for each in deciles)
    parts = [each["weight"] * each["mean_label_standard_error"] for each in deciles]
    return math.sqrt(2 / math.pi) * sum(parts) / total if deciles else math.nan


@given(
    st.sampled_from([CHAIN]) | label_trees(max_labels=4),
    st.integers(0, 80),
    st.integers(0, 99),
    st.booleans(),
    st.booleans(),
    st.integers(1, 30),
)
def test_metrics_of_small_memory_are_those_of_the_formulas(tree, size, seed, weighted, ties, rows_in_memory):
    rows = impressions(size, seed, tree=tree, weighted=weighted, ties=ties)
    cuts = [slice(begin, begin + 13) for begin in range(0, size, 13)]
    found = collected(rows, cuts, tree=tree, rows_in_memory=rows_in_memory)
    assert list(found) == tree.task_names
    for task, expected in by_formulas(rows, tree).items():
        for name, value in asdict(found[task].metrics).items():
            # Near a perfect ranking the formula's own error is a rounding: of 1, whose square root is 1e-8
            near = 3e-8 if name == "auc_standard_error" else 1e-15
            assert value == pytest.approx(expected[name], rel=1e-12, abs=near, nan_ok=True), (task, name)
        if not weighted:
            assert found[task].metrics.auc == expected["auc"] or math.isnan(expected["auc"])


@given(st.integers(0, 99), st.booleans())
def test_no_bit_of_a_label_depends_on_those_beside_it(seed, weighted):
    """Two branches of a tree have the metrics that each has alone, in a funnel of its own."""
    tree = LabelTree.of(("click", "cart", "order", "favourite"), {"favourite": "click"})
    labels, *rows = impressions(200, seed, tree=tree, weighted=weighted)
    logits, *others = rows
    together = collected((labels, logits, *others), [slice(None)], tree=tree)
    for names in (("click", "favourite"), ("click", "cart", "order")):
        places = [tree.names.index(name) for name in names]
        branch = LabelTree.of(names)
        alone = collected((labels[:, places], logits[:, places], *others), [slice(None)], tree=branch)
        for task, report in alone.items():
            of_tree = {"ctr": "click", "cvr": "favourite_given_click", "ctcvr": "favourite"}.get(task, task)
            assert repr(together[of_tree]) == repr(report)


@given(st.integers(0, 99), st.booleans(), st.integers(1, 400), st.lists(st.integers(0, 300), max_size=4))
def test_no_bit_depends_on_the_memory_the_batches_or_the_order(seed, weighted, rows_in_memory, cuts):
    rows = impressions(300, seed, weighted=weighted)
    alone = repr(collected(rows, [slice(None)]))
    bounds = [0, *sorted(cuts), 300]
    blocks = [slice(*pair) for pair in pairwise(bounds)]
    assert repr(collected(rows, blocks[::-1], rows_in_memory=rows_in_memory)) == alone


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows_in_memory", [50, 10_000])
def test_no_bit_depends_on_the_ranks(weighted, rows_in_memory):
    rows = impressions(1000, 5, weighted=weighted)
    alone = repr(collected(rows, [slice(None)]))

    def work(world):
        # rank 1 has no impression, the others take turns in blocks of 10
        others = [0, *range(2, world.size)]
        own = [slice(begin, begin + 10) for begin in range(0, 1000, 10)]
        turns = own[others.index(world.rank) :: len(others)] if world.rank != 1 else [slice(0, 0)]
        return repr(collected(rows, turns, world=world, rows_in_memory=rows_in_memory))

    assert on_thread_ranks(work, size=3) == [alone] * 3


def test_a_model_that_gives_all_impressions_one_score_has_an_auc_of_a_half_in_small_memory():
    labels = np.zeros((500, 2), np.int8)
    labels[::5, 0] = 1
    rows = (labels, np.zeros((500, 2), np.float32), np.arange(500) % 7, None)
    task = collected(rows, [slice(None)], rows_in_memory=10)["ctr"].metrics
    assert (task.auc, task.gauc, task.gauc_users) == (0.5, 0.5, 7)
    assert task.log_loss == pytest.approx(math.log(2))
    assert task.calibration == pytest.approx(2.5)  # 500 times a half, of 100 clicks


def test_memory_does_not_grow_with_the_impressions(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def peak_bytes(size):
        tracemalloc.start()
        with LabelTreeMetrics(CHAIN, scale="logit", rows_in_memory=5000) as metrics:
            for begin in range(0, size, 1000):
                labels, logits, users, _ = impressions(1000, begin, ties=False)
                metrics.add(labels, logits, users)
            found = metrics.metrics()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found["ctr"].impressions == size
        return peak

    peak_bytes(5000)  # what is imported and cached once
    small, large = peak_bytes(50_000), peak_bytes(200_000)
    assert large - small < 2 * 150_000  # a run's place in the file; in memory, rows would be 136 bytes each
    assert large < 5000 * 320


def test_nothing_is_written_while_the_memory_suffices(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    labels, logits, users, _ = impressions(100, 1)
    assert evaluate_scores(labels, logits, CHAIN, scale="logit", users=users)["ctr"].impressions == 100


def test_without_known_users_there_is_no_gauc():
    labels, logits, _, _ = impressions(100, 1)
    task = evaluate_scores(labels, logits, CHAIN, scale="logit", users=np.full(100, NO_USER))["ctr"]
    assert math.isnan(task.gauc)
    assert (task.gauc_users, task.gauc_one_class_users) == (0, 0)


def test_weights_of_one_count_as_none_to_the_last_bit():
    labels, logits, users, _ = impressions(300, 3)
    without = evaluate_scores(labels, logits, CHAIN, scale="logit", users=users)
    assert evaluate_scores(labels, logits, CHAIN, scale="logit", users=users, weights=np.ones(300)) == without
