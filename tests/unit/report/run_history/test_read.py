"""The course of a run equals what stands in its files."""

import json
import math

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.report.run_history.read import read_course
from esmm_dist.report.run_history.sections import course_sections
from esmm_dist.storage.folder import Folder
from tests.support.written_run import data_set, evaluation, events, losses, speed, write_run
from tests.unit.checkpoint.saved_rows import SavedRows, save

BASELINE = {
    "split": "test",
    "auc": {"ctr": 0.70, "ctcvr": 0.66},
    "auc_standard_error": {"ctr": 0.003, "ctcvr": 0.006},
    "train_impressions": 90,
    "test_impressions": 10,
    "of_train_impressions": 90,
    "of_test_impressions": 20,
}


def course_of(folder):
    return read_course(Folder.open(folder), "run")


def test_losses_and_evaluations_are_those_of_the_files_in_the_order_of_steps(tmp_path):
    evaluations = [evaluation(200, ctr=0.72), evaluation(100, ctr=0.70), evaluation(300, whole=False, ctr=0.71)]
    run = write_run(tmp_path / "run", evaluations=evaluations, baseline=BASELINE, train_log=losses(400))
    course = course_of(run)
    assert [each.step for each in course.evaluations] == [100, 200, 300]
    assert [each.value("ctr", "auc") for each in course.evaluations] == [0.70, 0.72, 0.71]
    assert [each.whole_split for each in course.evaluations] == [True, True, False]
    assert [{"step": each.step, **each.losses} for each in course.losses] == losses(400)
    assert course.step == 400
    assert course.tasks == ("ctr",)
    assert course.baseline is not None
    assert course.baseline.value("ctcvr", "auc") == 0.66
    assert course.baseline.value("ctcvr", "auc_standard_error") == 0.006
    assert not course.baseline.whole_split


def test_half_a_line_and_numbers_that_are_none_are_left_out(tmp_path):
    run = write_run(tmp_path / "run", train_log=[{"step": 20, "ctr_loss": 0.5}, {"step": 40, "ctr_loss": None}])
    with (run / "train_log.jsonl").open("a") as log:
        log.write('[1]\n{"ctr_loss": 1}\n{"step": 60, "ctr_l')
    points = course_of(run).losses
    assert [each.step for each in points] == [20, 40]
    assert math.isnan(points[1].losses["ctr_loss"])


def test_of_a_step_that_was_made_again_the_newer_line_counts(tmp_path):
    lines = [{"step": step, "ctr_loss": loss} for step, loss in ((20, 1.0), (40, 2.0), (20, 3.0), (40, 4.0))]
    points = course_of(write_run(tmp_path / "run", train_log=lines)).losses
    assert [(each.step, each.losses["ctr_loss"]) for each in points] == [(20, 3.0), (40, 4.0)]


def test_checkpoints_are_read_by_their_manifests_and_damage_is_named(tmp_path):
    run = write_run(tmp_path / "run", train_log=losses(40))
    for step in (20, 40, 60):
        save(Folder.open(run), step, SavedRows(30))
    file = next((run / "checkpoints" / "step-00000040").glob("*.arrow"))
    file.write_bytes(file.read_bytes()[:-1])
    (run / "checkpoints" / "step-00000060" / "manifest.json").write_text("{")
    (run / "checkpoints" / "step-00000020.pin").touch()
    found = course_of(run).checkpoints
    assert [(each.step, each.rows, each.is_pinned) for each in found] == [
        (20, {"main": 30}, True),
        (40, {"main": 30}, False),
        (60, {}, False),
    ]
    assert found[0].trouble == ""
    assert found[1].trouble.startswith(f"{file.name} has ")
    assert "manifest.json cannot be read" in found[2].trouble
    assert found[0].size_bytes == sum(each.stat().st_size for each in (run / "checkpoints" / "step-00000020").iterdir())


def test_a_run_that_has_only_begun_says_what_is_missing_and_why(tmp_path):
    course = course_of(write_run(tmp_path / "run", train_log=[]))
    assert course.step == 0
    assert course.settings is None
    text = "\n".join(course.missing)
    for part in ("no training losses", "no evaluation yet", "no speed.jsonl", "no history.jsonl"):
        assert part in text


def test_damaged_files_are_left_out_and_named(tmp_path):
    run = write_run(tmp_path / "run", train_log=losses(40))
    (run / "metrics.json").write_text('{"evaluations": [')
    (run / "data_sets.json").write_text("[]")
    (run / "config.yaml").write_text("a: [")
    course = course_of(run)
    assert (course.evaluations, course.data_sets, course.settings) == ([], (), None)
    text = "\n".join(course.missing)
    for part in ("metrics.json is damaged", "data_sets.json cannot be read", "The settings are left out"):
        assert part in text
    assert len(course.losses) == 2


def test_files_of_brackets_are_damaged_ones(tmp_path):
    run = write_run(tmp_path / "run", train_log=losses(40))
    for name in ("metrics.json", "data_sets.json", "train_log.jsonl"):
        (run / name).write_text("[" * 100_000)
    course = course_of(run)
    assert (course.losses, course.evaluations, course.data_sets) == ([], [], ())
    assert any("metrics.json is damaged" in each for each in course.missing)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"evaluations": 3}',
        '{"evaluations": [3, {"step": "x"}]}',
        '{"evaluations": [{"step": true}], "best": 3, "baseline": {"auc": 1}}',
        '{"baseline": {"auc": {}}}',
    ],
)
def test_metrics_of_another_form_give_no_evaluation(tmp_path, content):
    run = write_run(tmp_path / "run", train_log=losses(40))
    (run / "metrics.json").write_text(content)
    course = course_of(run)
    assert (course.evaluations, course.best_step, course.baseline) == ([], None, None)


def test_data_sets_and_settings_are_those_of_the_files(tmp_path):
    run = write_run(
        tmp_path / "run",
        data_sets=[data_set(1), data_set(2, finished=False, last_step=150)],
        settings={"seed": 7},
        train_log=losses(140),
    )
    with (run / "config.yaml").open() as file:
        text = file.read()
    (run / "config.yaml").write_text(f"# Chosen: epochs 2\n# Chosen: more\n{text}")
    course = course_of(run)
    assert [each.data for each in course.data_sets] == ["days/2026-09-01", "days/2026-09-02"]
    assert course.step == 150
    assert course.settings is not None
    assert course.settings["seed"] == 7
    assert course.chosen == ("Chosen: epochs 2", "Chosen: more")


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"There is no run at .*nothing: it has none of train_log.jsonl.*--watch"):
        course_of(tmp_path / "nothing")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"is no run: its manifest.json is that of a data set"):
        course_of(tmp_path / "data")


def test_plain_values_are_json(tmp_path):
    run = write_run(tmp_path / "run", evaluations=[evaluation(40, ctr=float("nan"))], train_log=losses(40))
    found = json.loads(json.dumps(course_of(run).to_mapping()))
    assert found["tasks"] == ["ctr"]
    assert found["losses"][0]["step"] == 20


HUGE = [10**400, 10**30, -(10**30), 1e308, float("inf"), "9" * 400, [[]], True]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", HUGE, ids=lambda value: repr(value)[:12])
def test_numbers_that_no_axis_holds_are_left_out_of_numbers_and_pictures(tmp_path, value):
    evaluations = [evaluation(step, ctr=0.7) for step in (100, 200, 300)]
    for name in ("auc", "auc_standard_error", "calibration", "positives"):
        evaluations[1]["metrics"]["ctr"][name] = value
    history = [{"at": value, "event": "stop", "step": 3}, {"at": 5.0, "event": "stop", "step": value}]
    points = speed(100)
    for point, name in zip(points, ("at", "step", "impressions", "seconds"), strict=False):
        point[name] = value
    points[4]["tables"]["main"]["rows"] = value
    run = write_run(
        tmp_path / "run",
        evaluations=[*evaluations, {**evaluations[0], "step": value}],
        train_log=[*losses(100), {"step": value, "ctr_loss": 0.1}, {"step": 120, "ctr_loss": value}],
        history=[*history, *events((9, "done", 300, {}))],
        speed=points,
    )
    course = read_course(Folder.open(run), "run")
    assert (course.step, [each.step for each in course.evaluations]) == (300, [100, 200, 300])
    assert math.isnan(course.evaluations[1].value("ctr", "auc"))
    assert math.isnan(course.losses[-1].losses["ctr_loss"])
    course_sections([course])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metrics", [{}, 10**18, None, [], "x"])
def test_an_evaluation_without_a_figure_is_none(tmp_path, metrics):
    found = [evaluation(100, ctr=0.7), {**evaluation(200, ctr=0.7), "metrics": metrics}]
    course = read_course(Folder.open(write_run(tmp_path / "run", evaluations=found)), "run")
    assert [each.step for each in course.evaluations] == [100]
    course_sections([course])
