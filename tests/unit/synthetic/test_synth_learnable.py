"""The default log can be learned: a plain logistic regression on one-hot ids already comes far."""

import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from esmm_dist.model.metrics import exact_auc, paired_auc_difference
from esmm_dist.model.metrics.label_tree_metrics import evaluate_scores
from esmm_dist.schema.label_tree import LabelTree
from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.synthesize import synthesize

# No lists and no crosses: what an additive model can know.
ONE_HOT = {"101", "121", "122", "124", "125", "126", "127", "128", "129", "205", "206", "207", "216", "301"}
MIN_COUNT = 20


def read_ids(folder, split):
    """Ids of the one-hot fields of each impression in the truth file, and its labels."""

    def ids(text):
        pieces = (piece.split("\x02") for piece in text.split("\x01"))
        return [rest.split("\x03")[0] for name, rest in pieces if name in ONE_HOT]

    rows = {}
    for line in (folder / f"common_features_{split}.csv").read_text().splitlines():
        key, _, features = line.split(",")
        rows[key] = ids(features)
    examples, labels = [], []
    for line in (folder / f"sample_skeleton_{split}.csv").read_text().splitlines():
        columns = line.split(",")
        if len(columns) == 6:
            examples.append(ids(columns[5]) + rows.get(columns[3], []))
            labels.append((int(columns[1]), int(columns[1]) * int(columns[2])))
    return examples, np.array(labels)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_logistic_regression_closes_most_of_the_way_and_beats_clicks_alone(tmp_path, seed):
    report = synthesize(SynthConfig(out=tmp_path, impressions=300_000, seed=seed))
    (train, y), (test, z) = read_ids(tmp_path, "train"), read_ids(tmp_path, "test")
    one_hot = CountVectorizer(analyzer=list, min_df=MIN_COUNT)  # an example is its list of ids
    a, b = one_hot.fit_transform(train), one_hot.transform(test)
    clicked = y[:, 0] == 1
    logits = [
        LogisticRegression(C=0.1, solver="liblinear").fit(a[rows], y[rows, k]).decision_function(b)
        for k, rows in ((0, np.ones(len(y), bool)), (1, clicked))
    ]
    metrics = evaluate_scores(z, np.stack(logits, axis=1), LabelTree.of(("click", "conversion")), scale="logit")
    closed = {task: (metrics[task].auc - 0.5) / (report.best_auc[task] - 0.5) for task in metrics}
    assert closed["ctr"] > 0.75
    assert closed["ctcvr"] > 0.65
    log_p = -np.logaddexp(0, -np.array(logits))
    gain, error = paired_auc_difference(log_p.sum(axis=0), log_p[0], z[:, 1])
    assert math.isclose(gain, metrics["ctcvr"].auc - exact_auc(log_p[0], z[:, 1]), abs_tol=1e-12)
    assert gain > 5 * error
