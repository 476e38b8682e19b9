"""The truth of a planted log: found, joined to predictions by sample id, and measured."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.schema.manifest import read_manifest
from launcher.compare.truth import PlantedTruth
from tests.unit.launcher.compare.comparisons import make_data, write_truth


@pytest.fixture
def manifest(tmp_path):
    make_data(tmp_path / "data")
    return read_manifest(tmp_path / "data")


def truth_of(tmp_path, manifest, rows, split="test"):
    columns = zip(*rows, strict=True)
    names = ("sample_id", "pctr", "pcvr", "click")
    pq.write_table(pa.table(dict(zip(names, map(list, columns), strict=True))), tmp_path / "truth_test.parquet")
    return PlantedTruth.find(tmp_path, split, manifest)


def predictions(tmp_path, samples, pcvr):
    path = tmp_path / "predictions.parquet"
    values = pa.array(pcvr, pa.float32())
    columns = {"sample_id": pa.array(samples, pa.int64()), "pcvr": values, "pctcvr": values}
    pq.write_table(pa.table(columns), path)
    return path


ROWS = [(7, 0.5, 0.8, 1), (3, 0.5, 0.4, 0), (9, 0.5, 0.2, 1), (4, 0.5, 0.1, 0)]


def test_figures_of_all_clicked_and_other_impressions_by_hand(tmp_path, manifest):
    truth = truth_of(tmp_path, manifest, ROWS)
    found = truth.figures(predictions(tmp_path, [3, 4, 7, 9], [0.4, 0.3, 0.6, 0.6]))["cvr"]
    assert {part: figures["impressions"] for part, figures in found.items()} == {"all": 4, "reached": 2, "rest": 2}
    assert found["all"]["calibration"] == pytest.approx(1.9 / 1.5)
    assert found["reached"]["calibration"] == pytest.approx(1.2 / 1.0)
    assert found["rest"]["calibration"] == pytest.approx(0.7 / 0.5)
    assert found["reached"]["auc"] == pytest.approx(0.5)  # a tie
    # clicked 0: positive 0.4 above negative 0.9, and 0.1 above 0.6 in the wrong order
    assert found["rest"]["auc"] == pytest.approx(0.36 / (0.36 + 0.06))
    assert found["rest"]["best_auc"] == pytest.approx(0.36 / (0.36 + 0.06))
    assert found["rest"]["mean"] == pytest.approx(0.25)
    expected = [0.0, 0.1 * math.log(0.1 / 0.3) + 0.9 * math.log(0.9 / 0.7)]
    assert found["rest"]["divergence"] == pytest.approx(np.mean(expected), rel=1e-5)


def test_the_product_is_measured_by_the_product_of_the_truth(tmp_path, manifest):
    truth = truth_of(tmp_path, manifest, [(3, 0.5, 0.4, 0), (4, 0.5, 0.1, 0)])
    found = truth.figures(predictions(tmp_path, [3, 4], [0.3, 0.3]))["ctcvr"]
    assert list(found) == ["all"]
    assert found["all"]["calibration"] == pytest.approx(0.6 / 0.25)
    assert found["all"]["best_auc"] == pytest.approx(0.2 * 0.95 / (0.2 * 0.95 + 0.05 * 0.8))


def test_an_impression_without_truth_is_an_error(tmp_path, manifest):
    truth = truth_of(tmp_path, manifest, ROWS)
    with pytest.raises(InputDataError, match=r"has no row for sample 5 \(1 of 2 impressions\)"):
        truth.figures(predictions(tmp_path, [3, 5], [0.1, 0.1]))
    with pytest.raises(InputDataError, match="has no row for sample 99"):
        truth.figures(predictions(tmp_path, [99], [0.1]))


def test_a_validation_split_has_the_truth_of_train(tmp_path, manifest):
    write_truth(tmp_path / "raw", "train", [])
    assert PlantedTruth.find(tmp_path / "raw", "validation", manifest).path.name == "truth_train.parquet"
    with pytest.raises(ConfigError, match=r"which has no truth_test.parquet. Give the folder that esmm synth wrote"):
        PlantedTruth.find(tmp_path / "raw", "test", manifest)


def test_a_truth_of_other_labels_or_a_damaged_one_is_refused(tmp_path, manifest):
    pq.write_table(pa.table({"sample_id": [1], "pctr": [0.1]}), tmp_path / "truth_test.parquet")
    with pytest.raises(ConfigError, match="has no column pcvr, so it is the truth of other labels"):
        PlantedTruth.find(tmp_path, "test", manifest)
    (tmp_path / "truth_test.parquet").write_text("nothing")
    with pytest.raises(InputDataError, match=r"truth_test.parquet cannot be read"):
        PlantedTruth.find(tmp_path, "test", manifest)
