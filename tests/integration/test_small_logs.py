"""Without a flag, a small log with few, active users is learned as well as logistic regression learns it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from esmm_dist.config import build
from esmm_dist.model.metrics.label_tree_metrics import evaluate_scores
from esmm_dist.progress import NoProgress
from esmm_dist.schema.label_tree import LabelTree
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.result import TrainResult
from esmm_dist.train.run import train
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from tests.support.few_users_log import FewUsersLog, write_few_users_log

FIELDS = ("user_id", "age", "occupation", "item_id", "tags", "hour")
TASKS = ("ctr", "cvr", "ctcvr")


@dataclass(frozen=True)
class Learned:
    result: TrainResult
    reference: dict[str, float]
    """AUC of scikit-learn's logistic regression, the best of three penalties"""


def one_hot(path: Path, vectors: list[CountVectorizer] | None = None):
    """Return the one-hot ids of each impression, the labels, and what made the columns."""
    table = pq.read_table(path)
    columns = [table[name].to_pylist() for name in FIELDS]
    texts = [[[str(i) for i in (value if isinstance(value, list) else [value])] for value in c] for c in columns]
    if vectors is None:
        vectors = [CountVectorizer(analyzer=list, binary=True).fit(column) for column in texts]
    matrix = hstack([v.transform(column) for v, column in zip(vectors, texts, strict=True)], format="csr")
    labels = np.stack([table["is_click"].to_numpy(), table["is_conversion"].to_numpy()], axis=1)
    return matrix, labels, vectors


def reference_auc(log: FewUsersLog) -> dict[str, float]:
    x, y, vectors = one_hot(log.raw / "log_train.parquet")
    z, truth, _ = one_hot(log.raw / "log_test.parquet", vectors)
    clicked = y[:, 0] == 1
    found: list[dict[str, float]] = []
    for penalty in (0.1, 0.3, 1.0):
        ctr, ctcvr = (LogisticRegression(C=penalty, tol=1e-3).fit(x, y[:, k]) for k in range(2))
        cvr = LogisticRegression(C=penalty, tol=1e-3).fit(x[clicked], y[clicked, 1])
        chain = np.stack([ctr.decision_function(z), cvr.decision_function(z)], axis=1)
        metrics = evaluate_scores(truth, chain, LabelTree.of(("click", "conversion")), scale="logit")
        alone = evaluate_scores(
            truth[:, 1:], ctcvr.decision_function(z)[:, None], LabelTree.of(("conversion",)), scale="logit"
        )
        found.append({**{task: metrics[task].auc for task in TASKS}, "ctcvr": alone["conversion"].auc})
    return {task: max(each[task] for each in found) for task in TASKS}


def learned(folder: Path, **log_settings: int) -> Learned:
    log = write_few_users_log(folder, **log_settings)
    preprocess(PreprocessConfig(raw=log.raw, out=folder / "data", schema=str(log.schema)), NoProgress())
    config = build(TrainConfig, {"data": folder / "data", "run": str(folder / "run")}, where="test")
    return Learned(result=train(config, NoProgress()), reference=reference_auc(log))


@pytest.mark.timeout(600)
def test_a_short_small_log_is_level_with_logistic_regression_without_a_flag(tmp_path):
    """The short form: standard errors are large here."""
    check(learned(tmp_path, users=120, items=500, impressions=8_000))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("users", "seed"), [(600, 1), (8000, 3)])  # few very active users, and many
def test_small_logs_are_level_with_logistic_regression_without_a_flag(tmp_path, users, seed):
    check(learned(tmp_path, users=users, seed=seed))


def check(found: Learned) -> None:
    for task in TASKS:
        metrics = found.result.metrics[task]
        assert metrics.auc >= found.reference[task] - metrics.auc_standard_error, (task, metrics, found.reference)
    assert found.result.baseline is not None
    assert found.result.baseline.warnings(found.result.metrics) == []
