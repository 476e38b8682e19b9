"""The figures of a comparison: their names, and the scale on which models are compared."""

import math
from dataclasses import replace

import pytest

from launcher.compare.data import CompareData
from launcher.compare.figures import Figure, figures_of
from launcher.compare.truth import PlantedTruth
from tests.support.tiny_dataset import tiny_schema
from tests.unit.launcher.compare.comparisons import compare_config, make_data, write_truth


def data_of(tmp_path, **schema):
    groups = make_data(tmp_path / "data")
    write_truth(tmp_path / "raw", "train", groups["validation"])
    data = CompareData.read(compare_config(tmp_path, truth=tmp_path / "raw"))
    assert data.truth is not None
    if not schema:
        return data
    other = tiny_schema(**schema)
    truth = PlantedTruth(path=data.truth.path, crc32c=data.truth.crc32c, labels=other.label_tree)
    return replace(data, manifest=replace(data.manifest, schema=other), truth=truth)


def test_figures_of_clicks_and_conversions_come_in_the_order_of_the_paper(tmp_path):
    data = data_of(tmp_path)
    titles = [figure.title for figure in figures_of(data)]
    assert titles[:3] == ["CVR AUC on clicks", "CTCVR AUC", "CTR AUC"]
    assert titles[3:5] == ["CVR AUC, all impressions", "CTCVR AUC, all impressions"]
    assert titles[5:8] == [f"CVR calibration, {part}" for part in ("all", "clicked", "not clicked")]
    assert titles[8:] == [f"CVR divergence, {part}" for part in ("all", "clicked", "not clicked")]
    assert len(figures_of(replace(data, truth=None))) == 3


def test_a_longer_funnel_has_every_task_of_its_labels(tmp_path):
    data = data_of(tmp_path, labels=("click", "cart", "purchase"))
    by_labels = {each.key: each.title for each in figures_of(data) if not each.by_truth}
    assert by_labels == {
        "cart_given_click.auc": "cart given click AUC",
        "cart.auc": "cart AUC",
        "purchase_given_cart.auc": "purchase given cart AUC",
        "purchase.auc": "purchase AUC",
        "click.auc": "click AUC",
    }
    by_truth = {each.key: each for each in figures_of(data) if each.by_truth}
    rest = by_truth["truth.purchase_given_cart.calibration.rest"]
    assert (rest.title, rest.column) == ("purchase given cart calibration, no cart", "no cart")
    assert by_truth["truth.purchase.auc.all"].column == "purchase"


def test_a_calibration_is_compared_by_how_far_its_logarithm_is_off():
    calibration = Figure(key="c", title="c", better="near 1", digits=3)
    assert calibration.compared(2.0) == pytest.approx(calibration.compared(0.5)) == pytest.approx(math.log(2))
    assert math.isnan(calibration.compared(0.0))
    assert Figure(key="a", title="a", better="higher").compared(0.7) == 0.7


def test_a_figure_has_its_digits_its_sign_and_a_dash_if_it_is_missing():
    figure = Figure(key="a", title="a", better="higher")
    assert figure.text(0.71234) == "0.7123"
    assert figure.text(0.00012, signed=True) == "+0.0001"
    assert figure.text(math.nan) == "–"
