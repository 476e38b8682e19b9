"""What a run learns, in pictures and sentences: their numbers are those of the evaluations."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from esmm_dist.report.pictures.style import line_of
from esmm_dist.report.run_history.axes import moving_mean
from esmm_dist.report.run_history.course import RunEvaluation
from esmm_dist.report.run_history.last_evaluation import compared_with, evaluation_table, interval_picture
from esmm_dist.report.run_history.learning_curves import auc_picture, loss_picture
from esmm_dist.report.run_history.trend import trend_of, trend_sentence
from tests.support.written_run import data_set, evaluation, losses
from tests.unit.report.run_history.courses import LEARNS, NAN, written_course


def evaluations_of(*aucs, every=100):
    return [
        RunEvaluation(step=every * number, split="test", whole_split=True, metrics={"ctr": {"auc": auc}})
        for number, auc in enumerate(aucs, 1)
    ]


@pytest.mark.parametrize(
    ("aucs", "kind"),
    [
        ((0.7,), "one"),
        ((0.7, 0.71), "one"),
        ((0.60, 0.70, 0.75, 0.76, 0.77), "rises"),
        ((0.60, 0.70, 0.75, 0.7502, 0.7501), "level"),
        ((0.60, 0.70, 0.76, 0.755, 0.75), "falls"),
        ((NAN, NAN), "unknown"),
        ((NAN, 0.7, 0.71, 0.75), "rises"),
    ],
)
def test_a_trend_is_told_from_the_last_quarter_and_the_highest(aucs, kind):
    assert trend_of(evaluations_of(*aucs), "ctr").kind == kind


def test_the_change_is_that_over_the_last_quarter_of_the_steps():
    trend = trend_of(evaluations_of(0.60, 0.70, 0.75, 0.76, 0.77), "ctr")
    assert trend.change == pytest.approx(0.77 - 0.76)  # step 400 is at three quarters of 100 to 500
    assert (trend.highest, trend.highest_step) == (0.77, 500)


def test_the_picture_draws_auc_with_bands_of_95_percent_and_says_the_numbers(tmp_path):
    course = written_course(tmp_path, evaluations=LEARNS)
    picture = auc_picture([course])
    assert picture is not None
    drawn = picture.numbers["ctr"]["run"]
    assert drawn["step"] == list(range(100, 1001, 100))
    assert drawn["auc"] == [each["metrics"]["ctr"]["auc"] for each in LEARNS]
    assert np.subtract(drawn["high"], drawn["auc"]) == pytest.approx(np.full(10, 1.96 * 0.004))
    assert np.subtract(drawn["auc"], drawn["low"]) == pytest.approx(np.full(10, 1.96 * 0.004))
    line = picture.figure.axes[0].get_lines()[0]
    assert list(np.asarray(line.get_ydata())) == drawn["auc"]
    assert picture.title == "The AUC of ctcvr has levelled off at 0.7000; that of ctr still rises."


def test_a_single_evaluation_is_a_dot_with_its_interval_and_its_step_the_only_tick(tmp_path):
    picture = auc_picture([written_course(tmp_path, evaluations=[evaluation(1932, ctr=0.7, ctcvr=0.8)])])
    assert picture is not None
    for axes, auc in zip(picture.figure.axes, (0.7, 0.8), strict=True):
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1,932"]
        (bar,) = axes.collections
        assert isinstance(bar, LineCollection)
        (ends,) = bar.get_segments()
        assert ends.tolist() == [pytest.approx([1932, auc + side * 1.96 * 0.004]) for side in (-1, 1)]
    assert "The bar is the 95% confidence interval" in picture.how_to_read
    two = auc_picture([written_course(tmp_path, "two", evaluations=LEARNS[:2])])
    assert two is not None
    assert len(two.figure.axes[0].get_xticks()) > 1
    assert "The band is the 95% confidence interval" in two.how_to_read


def test_only_evaluations_of_the_newest_split_make_a_curve(tmp_path):
    found = [evaluation(100, "validation", ctr=0.6), evaluation(200, ctr=0.7), evaluation(300, ctr=0.8)]
    picture = auc_picture([written_course(tmp_path, evaluations=found)])
    assert picture is not None
    assert picture.numbers["ctr"]["run"]["step"] == [200, 300]


def test_labels_of_one_class_give_a_page_and_say_so(tmp_path):
    course = written_course(tmp_path, evaluations=[evaluation(step, ctr=NAN) for step in (100, 200, 300)])
    picture = auc_picture([course])
    assert picture is not None
    assert picture.title == "There is no AUC on test: the labels are of one class."
    assert picture.svgs()
    assert interval_picture([course]) is not None


def test_a_fall_since_the_best_step_is_told_from_the_newest_data_set_alone(tmp_path):
    aucs = {100: 0.9, 150: 0.7, 175: 0.8, 200: 0.75}
    found = [evaluation(step, ctr=auc) for step, auc in aucs.items()]
    days = [{"first_step": 0, "last_step": 120}, {"first_step": 120, "last_step": 200}]
    course = written_course(
        tmp_path, evaluations=found, data_sets=[data_set(n, **steps) for n, steps in enumerate(days, 1)]
    )
    assert trend_sentence(course) == ("The AUC of ctr was highest at step 175, 0.8000, and has fallen by 0.0500 since.")


def test_evaluations_of_the_first_impressions_are_not_compared_with_the_last_of_all(tmp_path):
    """The AUC of the whole split is higher for its impressions' sake: nothing has been learned since step 200."""
    of_first = [evaluation(step, whole=False, ctr=0.7) for step in (100, 200, 300, 400)]
    course = written_course(tmp_path, evaluations=[*of_first, evaluation(401, ctr=0.75)])
    assert trend_sentence(course) == "The AUC of ctr has levelled off at 0.7000."
    picture = auc_picture([course])
    assert picture is not None
    assert "the last point is of the whole split" in picture.how_to_read
    of_all = [evaluation(step, ctr=0.7) for step in (100, 200, 300, 400)]
    course = written_course(tmp_path, "all", evaluations=[*of_all, evaluation(401, ctr=0.75)])
    assert trend_sentence(course).startswith("The AUC of ctr still rises")
    picture = auc_picture([course])
    assert picture is not None
    assert "the last point" not in picture.how_to_read


def test_runs_that_are_equally_good_share_the_title(tmp_path):
    both = [written_course(tmp_path, name, evaluations=[evaluation(500, ctr=0.75)]) for name in ("a", "b")]
    picture = auc_picture(both)
    assert picture is not None
    assert picture.title == "2 of 2 runs have the highest last AUC for ctr, 0.7500."


def test_a_mean_of_neighbours_leaves_out_what_is_no_number():
    values = [float(each) for each in range(36)]
    means, width = moving_mean(values)
    assert width == 3
    assert means[1:-1] == pytest.approx(values[1:-1])
    assert (means[0], means[-1]) == (0.5, 34.5)
    values[10] = NAN
    means, _ = moving_mean(values)
    assert means[9:12] == pytest.approx([8.5, 10.0, 11.5])
    assert moving_mean([])[0] == []
    assert np.isnan(moving_mean([NAN])[0][0])


def test_losses_are_drawn_as_they_are_and_smoothed(tmp_path):
    picture = loss_picture([written_course(tmp_path)])
    assert picture is not None
    drawn = picture.numbers["ctcvr_loss"]["run"]
    lines = losses(1000)
    assert drawn["loss"] == [each["ctcvr_loss"] for each in lines]
    assert drawn["points_in_mean"] == 5  # a twelfth of 50 is 4: the next odd number
    assert drawn["mean"][10] == pytest.approx(np.mean([each["ctcvr_loss"] for each in lines[8:13]]))


def test_without_evaluations_and_losses_there_is_no_picture(tmp_path):
    course = written_course(tmp_path, train_log=[])
    assert auc_picture([course]) is None
    assert interval_picture([course]) is None
    assert loss_picture([course]) is None
    assert evaluation_table([course]) is None


def of_auc(auc, error):
    metrics = {"a": {"auc": auc, "auc_standard_error": error}}
    return RunEvaluation(step=1, split="test", whole_split=True, metrics=metrics)


@pytest.mark.parametrize(
    ("difference", "place"),
    [(0.0280, 0), (0.0276, 2), (-0.0280, 1), (-0.0276, 2), (0.0, 2)],
)
def test_models_differ_beyond_196_errors_of_the_difference(difference, place):
    # the errors 0.01 and 0.01 are 0.014142 together, times 1.96 is 0.02772
    found = compared_with(of_auc(0.7 + difference, 0.01), of_auc(0.7, 0.01))
    assert [bool(each) for each in found] == [number == place for number in range(3)]


BASELINE = {
    "split": "test",
    "auc": {"ctr": 0.60, "ctcvr": 0.80},
    "auc_standard_error": {"ctr": 0.003, "ctcvr": 0.006},
    "test_impressions": 10,
    "of_test_impressions": 10,
}


def test_the_last_evaluation_stands_beside_logistic_regression(tmp_path):
    course = written_course(tmp_path, evaluations=LEARNS, baseline=BASELINE)
    picture = interval_picture([course])
    assert picture is not None
    assert picture.title == "On test, the model is better than logistic regression for ctr, worse for ctcvr."
    assert picture.numbers["run"]["auc"] == [pytest.approx(0.7), 0.7]
    assert picture.numbers["logistic regression"]["auc"] == [0.60, 0.80]
    assert picture.numbers["logistic regression"]["half_width"] == pytest.approx([1.96 * 0.003, 1.96 * 0.006])


def test_the_best_evaluation_of_early_stopping_stands_for_the_run(tmp_path):
    best = {"step": 300, "value": 0.63, "metric": "ctr.auc", "split": "test"}
    course = written_course(tmp_path, evaluations=LEARNS, best=best)
    table = evaluation_table([course])
    assert table is not None
    assert [row[:4] for row in table.rows] == [["ctr", "300", "test", "0.6300"], ["ctcvr", "300", "test", "0.7000"]]


def test_several_runs_are_lines_in_the_same_panels_and_the_best_is_named(tmp_path):
    a = written_course(tmp_path, "a", evaluations=LEARNS)
    b = written_course(tmp_path, "b", evaluations=[evaluation(500, ctr=0.65, ctcvr=0.75)])
    picture = auc_picture([a, b])
    assert picture is not None
    assert picture.title == "b has the highest last AUC for ctcvr, 0.7500, of 2 runs."
    assert set(picture.numbers["ctr"]) == {"a", "b"}
    legend = picture.figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_the_legend_of_several_runs_shows_each_in_the_colour_of_its_line(tmp_path):
    # one evaluation has bars with caps, a loss has a faint line: neither is the line of another run
    runs = [written_course(tmp_path, name, evaluations=[evaluation(500, ctr=0.6)]) for name in ("a", "b")]
    for picture in (auc_picture(runs), loss_picture(runs)):
        assert picture is not None
        legend = picture.figure.axes[0].get_legend()
        assert legend is not None
        names = [text.get_text() for text in legend.get_texts()]
        shown = dict(zip(names, [line.get_color() for line in legend.get_lines()], strict=True))
        assert shown == {"a": line_of(0)["color"], "b": line_of(1)["color"]}
