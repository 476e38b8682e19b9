"""The picture of a comparison: its panels, marks and words."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from esmm_dist.report.pictures.png_file import plain_png
from launcher.compare.comparison import Comparison
from launcher.compare.data import CompareData
from launcher.compare.figures import RunResult
from launcher.compare.headline import headline
from launcher.compare.models import compared_models
from launcher.compare.picture import drawn, how_to_read, write_picture
from tests.unit.launcher.compare.comparisons import compare_config, make_data


@pytest.fixture
def comparison(tmp_path):
    make_data(tmp_path / "data")
    config = compare_config(tmp_path)
    training = {"resumed": True, "begun_cpu_s": None, "begun_share": None, "impressions": 0, "cpu_s": 1.0}
    results = [
        RunResult(
            model=name,
            seed=seed,
            values={f"{task}.auc": base + seed / 100 for task in ("ctr", "cvr", "ctcvr")},
            standard_errors={f"{task}.auc": 0.01 for task in ("ctr", "cvr", "ctcvr")},
            training=training,
        )
        for name, base in (("small", 0.7), ("large", 0.72))
        for seed in (1, 2)
    ]
    data = CompareData.read(config)
    return Comparison(
        data=data, models=compared_models(config), results=results, seeds=range(1, 3), jobs=1, failures={}
    )


def test_each_figure_has_a_panel_with_a_row_for_each_model_and_a_dot_for_each_seed(comparison):
    canvas = drawn(comparison)
    panels = [panel for panel in canvas.axes if panel.get_visible()]
    assert [panel.get_title(loc="left") for panel in panels] == ["CVR AUC on clicks", "CTCVR AUC", "CTR AUC"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["small", "large"]
    assert [label.get_text() for label in panels[1].get_yticklabels()] == ["", ""]  # the row of the first panel
    dots = [
        line
        for line in panels[0].get_lines()
        if len(np.asarray(line.get_xdata())) == 2 and line.get_linestyle() == "None"
    ]
    assert [list(np.asarray(line.get_xdata())) for line in dots if line.get_marker() == "o"] == [
        pytest.approx([0.71, 0.72]),
        pytest.approx([0.73, 0.74]),
    ]
    assert panels[0].get_ylim()[0] > panels[0].get_ylim()[1]  # the first model on top


def test_the_first_model_has_another_mark_and_a_line_through_all(comparison):
    panel = drawn(comparison).axes[0]
    marks = [line.get_marker() for line in panel.get_lines()]
    assert marks.count("D") == 1
    dashed = [line for line in panel.get_lines() if line.get_linestyle() == "--"]
    assert [np.asarray(line.get_xdata())[0] for line in dashed] == [pytest.approx(0.715)]


def test_it_says_how_to_read_it(comparison):
    text = how_to_read(comparison)
    assert text.startswith("a faint dot is a training with one seed, a mark with a bar")
    assert "2 seeds" in text
    assert text.endswith("the mean of small.")


def test_its_file_has_the_result_above_the_panels_and_how_to_read_it_below(comparison, tmp_path):
    assert headline(comparison).startswith(
        "Of 2 models, large has the highest CTCVR AUC on validation, 0.7350: 0.0200 above small"
    )
    write_picture(comparison, tmp_path / "comparison.png")
    written = np.asarray(Image.open(tmp_path / "comparison.png"))
    panels = np.asarray(Image.open(io.BytesIO(plain_png(drawn(comparison)))))
    assert written.shape[1] == panels.shape[1]
    places = [at for at in range(len(written) - len(panels)) if (written[at : at + len(panels)] == panels).all()]
    assert len(places) == 1
    assert (written[: places[0]] < 128).any()
    assert (written[places[0] + len(panels) :] < 128).any()


def test_an_axis_is_no_narrower_than_the_luck_of_the_split(comparison):
    low, high = drawn(comparison).axes[0].get_xlim()
    assert high - low >= 4 * 0.01
    lucky = [replace(run, standard_errors=dict.fromkeys(run.standard_errors, 0.5)) for run in comparison.results]
    low, high = drawn(replace(comparison, results=lucky)).axes[0].get_xlim()
    assert high - low == pytest.approx(4 * 0.5)
    assert (low + high) / 2 == pytest.approx(0.725, abs=0.01)  # values from 0.71 to 0.74
