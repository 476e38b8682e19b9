"""Logs of funnels longer than two, and of trees: their labels, their truth, and what preprocess makes of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import InputDataError
from esmm_dist.model.metrics import exact_auc
from esmm_dist.schema.files import load_schema
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.synthesize import synthesize
from tests.unit.preprocess.raw_logs import run

FUNNELS: dict[str, dict[str, Any]] = {
    "stages": {"stages": 3},
    "tree": {"labels": ("click", "purchase", "favourite after click")},
}


@pytest.fixture(scope="module", params=list(FUNNELS.values()), ids=list(FUNNELS))
def log(request, tmp_path_factory):
    config = SynthConfig(
        out=tmp_path_factory.mktemp("funnel") / "raw", impressions=24_000, ctr=0.3, cvr=0.4, **request.param
    )
    return config, synthesize(config)


def truth(config, split):
    table, tree = pq.read_table(config.out / f"truth_{split}.parquet"), config.label_tree
    given = [task.column for task in tree.tasks if task.given is not None or task.label == 0]
    assert table.column_names == ["sample_id", *given, *tree.names]
    return [table[name].to_numpy() for name in given], np.stack([table[name].to_numpy() for name in tree.names], axis=1)


def test_the_labels_of_the_truth_follow_the_tree_and_their_probabilities(log):
    config, report = log
    for split, of_split in report.splits.items():
        conditional, labels = truth(config, split)
        assert of_split.label_counts == dict(zip(config.label_tree.names, labels.sum(axis=0), strict=True))
        for label, parent in enumerate(config.label_tree.parents):
            reached = np.ones(len(labels), np.bool_) if parent < 0 else labels[:, parent] == 1
            assert not labels[~reached, label].any()
            p, y = conditional[label][reached], labels[reached, label]
            for part in (p < np.median(p), p >= np.median(p)):
                deviation = np.sqrt((p[part] * (1 - p[part])).sum())
                assert abs(y[part].sum() - p[part].sum()) < 4 * deviation
            rate = config.rates[label]
            assert p.mean() == pytest.approx(rate, rel=0.15)


def test_the_best_auc_of_each_task_is_that_of_the_true_probabilities(log):
    config, report = log
    conditional, labels = truth(config, "test")
    tree = config.label_tree
    assert list(report.best_auc) == tree.task_names
    for task in tree.tasks:
        p = np.prod([conditional[place] for place in tree.path(task.label)], axis=0)
        scores = p if task.given is None else conditional[task.label]
        chosen = np.ones(len(labels), np.bool_) if task.given is None else labels[:, task.given] == 1
        expected = exact_auc(scores[chosen], labels[chosen, task.label])
        assert report.best_auc[task.name] == pytest.approx(expected, abs=1e-4)
    assert report.last_auc_of_first == pytest.approx(exact_auc(conditional[0], labels[:, -1]), abs=1e-4)


def test_preprocess_counts_what_the_report_does_with_the_schema_beside_the_log(log, tmp_path):
    config, report = log
    schema = load_schema(str(config.out / "schema.yaml"))
    assert schema.label_tree == config.label_tree
    assert [field.name for field in schema.fields] == [field.name for field in load_schema("aliccp").fields]
    manifest = run(config.out, tmp_path / "data", schema=str(config.out / "schema.yaml"), min_count=5)
    for split, of_split in report.splits.items():
        found = manifest.splits[split]
        assert (found.impressions, found.label_counts) == (of_split.impressions, of_split.label_counts)
        anomalies = [count for kind, count in of_split.warts.items() if "_without_" in kind]
        assert list(found.broken_chains.values()) == anomalies == [3, 3]


def test_a_log_that_is_read_by_another_number_of_labels_names_its_schema(log, tmp_path):
    config, _ = log
    with pytest.raises(InputDataError, match="A line has one column for each label") as caught:
        run(config.out, tmp_path / "data", schema="aliccp")
    assert f"The log has a schema of its own: --schema {config.out}/schema.yaml." in str(caught.value)


def test_a_further_label_changes_nothing_of_the_first_two(tmp_path):
    shorter = SynthConfig(out=tmp_path / "two", impressions=3000, cvr=0.3)
    longer = replace(shorter, out=tmp_path / "three", stages=3)
    for config in (shorter, longer):
        synthesize(config)
    lines = [(config.out / "sample_skeleton_train.csv").read_text().splitlines() for config in (shorter, longer)]
    for short, long in zip(*lines, strict=True):
        columns = long.split(",")
        assert short == ",".join([*columns[:3], *columns[4:]])
    common = [(config.out / "common_features_train.csv").read_bytes() for config in (shorter, longer)]
    assert common[0] == common[1]


def test_the_report_names_each_label(log):
    config, report = log
    text = "\n".join(report.lines())
    for label in config.label_tree.names:
        assert f"{report.splits['test'].label_counts[label]:,} {label}s" in text
    assert "30.000% of impressions have a click (real set 3.887%), 40.000% of clicks have a " in text
    last = config.label_tree.names[-1]
    assert f"ranking by the true click probability alone reaches {last} {report.last_auc_of_first:.4f}" in text
