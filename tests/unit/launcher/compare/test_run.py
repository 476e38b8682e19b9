"""A whole comparison, with ``esmm train``, ``evaluate`` and ``predict`` played: its runs, its table, its end."""

import json
import math
import os
import re
import signal
import sys
from dataclasses import replace

import pytest

from esmm_dist.errors import ConfigError, EsmmError
from esmm_dist.process.signals import StoppedBySignal
from launcher.compare import run as comparing
from launcher.compare.picture import write_picture
from launcher.compare.run import RunsFailedError, run_comparison
from launcher.trainings.cores import cores_of_jobs
from tests.unit.launcher.compare import played_esmm
from tests.unit.launcher.compare.comparisons import DEFINE, compare_config, make_data, write_truth
from tests.unit.launcher.tune.test_run import Lines, stopped_when


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave out the picture, half a second each: test_picture.py has it, and the tests that ask for ``picture``."""
    monkeypatch.setattr(comparing, "write_picture", lambda comparison, path: path.touch())


@pytest.fixture
def picture(undrawn, monkeypatch):
    monkeypatch.setattr(comparing, "write_picture", write_picture)


def compared(tmp_path, progress=None, **changes):
    if not (tmp_path / "data").exists():
        make_data(tmp_path / "data")
    return run_comparison(
        compare_config(tmp_path, **changes), progress or Lines(), esmm=played_esmm.ESMM, check=played_esmm.CHECK
    )


def row(outcome, name, table=0):
    """Cells of a model's row in one of the tables of a report, which stand two blanks apart."""
    return [re.split(r"\s{2,}", line)[1:] for line in outcome.lines if line.startswith(f"{name}  ")][table]


def starts(tmp_path):
    """How often each training was started."""
    return {
        f"{path.parents[2].name}-{path.parents[1].name[5:]}": len(path.read_text().splitlines())
        for path in sorted((tmp_path / "out").glob("models/*/*/run/starts"))
    }


def test_models_by_seeds_are_trained_measured_and_compared(tmp_path, picture):
    progress = Lines()
    outcome = compared(tmp_path, progress)
    assert outcome.done
    assert starts(tmp_path) == {f"{name}-{seed}": 1 for name in ("large", "small") for seed in (1, 2, 3)}
    small, large = outcome.result["models"]
    assert small["figures"]["ctcvr.auc"] == {"count": 3, "mean": pytest.approx(0.721), "sd": pytest.approx(0.01)}
    assert small["differences"] == {}
    difference = large["differences"]["ctcvr.auc"]
    assert difference["mean"] == pytest.approx(0.001)
    assert difference["standard_error"] == pytest.approx(0, abs=1e-9)
    assert large["settings"]["model"] == {"hidden_units": [20]}
    assert [run["seed"] for run in large["runs"]] == [1, 2, 3]
    assert 0 < small["cpu_s_per_million_impressions"]["mean"] < 60e3
    text = "\n".join(outcome.lines)
    assert outcome.lines[0].startswith(
        "Of 2 models, large has the highest CTCVR AUC on validation, 0.7220: 0.0010 above small"
    )
    assert row(outcome, "small")[:3] == ["0.7210 ± 0.0100"] * 3
    assert row(outcome, "large", 1) == ["+0.0010 ± 0.0000 (p < 0.001)"] * 3
    assert "the standard error of one CTCVR AUC is 0.0100" in text
    assert "3 seeds: they decide start values and the order of records" in text
    assert progress.total == ("Comparing", 6, "runs", 0)
    assert sum(progress.amounts) == pytest.approx(6)
    assert progress.lines[0] == "Checking that the models can be made."
    assert progress.lines[1].startswith("small, seed 1: CTCVR AUC 0.7110, ")
    assert progress.lines[2].startswith("large, seed 1: ")  # seed after seed
    assert json.loads((tmp_path / "out/comparison.json").read_text()) == outcome.result
    assert (tmp_path / "out/comparison.png").read_bytes()[:4] == b"\x89PNG"


def test_the_markdown_holds_the_same_figures(tmp_path):
    compared(tmp_path)
    text = (tmp_path / "out/comparison.md").read_text()
    assert text.startswith("# Of 2 models, large has the highest CTCVR AUC on validation, 0.7220: 0.0010 above small")
    assert "| small | 0.7210 ± 0.0100 | 0.7210 ± 0.0100 | 0.7210 ± 0.0100 |" in text
    assert "| large | +0.0010 ± 0.0000 (p < 0.001) |" in text
    assert "`models/small/train.yaml`, `models/large/train.yaml`" in text
    assert "![](comparison.png)" in text


def test_what_is_finished_is_not_done_again_and_more_may_come(tmp_path):
    first = compared(tmp_path, seeds=1).result["models"][0]["runs"]
    progress = Lines()
    more = compared(tmp_path, progress, seeds=2, models=["small", "large", "larger"], define=LARGER)
    assert more.result["models"][0]["runs"][:1] == first
    assert starts(tmp_path) == {f"{name}-{seed}": 1 for name in ("large", "larger", "small") for seed in (1, 2)}
    assert progress.lines[1] == "2 of 6 runs are finished already."
    again = Lines()
    assert compared(tmp_path, again, seeds=2, models=["larger", "small"], define=LARGER).result["first"] == "larger"
    assert again.total is None
    assert again.amounts == []


LARGER = {**DEFINE, "larger": {"model": {"hidden_units": [30]}}}


def test_another_split_is_measured_without_training_again(tmp_path):
    compared(tmp_path, seeds=1)
    progress = Lines()
    outcome = compared(tmp_path, progress, seeds=1, eval_split="test")
    assert progress.total == ("Comparing", 2, "runs", 0)  # what is left to do is all that counts
    assert sum(progress.amounts) == pytest.approx(2)
    assert outcome.result["models"][0]["figures"]["ctcvr.auc"]["mean"] == pytest.approx(0.712)
    assert outcome.result["split"] == "test"
    assert set(starts(tmp_path).values()) == {1}


def test_runs_can_go_when_they_are_measured(tmp_path):
    compared(tmp_path, seeds=1, keep_runs=False)
    assert starts(tmp_path) == {}
    again = Lines()
    assert compared(tmp_path, again, seeds=1, keep_runs=False).done
    assert again.total is None  # nothing was trained
    compared(tmp_path, seeds=1, keep_runs=True, eval_split="test")
    assert starts(tmp_path) == {"large-1": 1, "small-1": 1}


def test_one_seed_has_no_deviation_and_no_test_and_that_is_said(tmp_path, picture):
    outcome = compared(tmp_path, seeds=1)
    text = "\n".join(outcome.lines)
    assert "One seed: there is no standard deviation and no test. Set seeds to 2 or more." in text
    assert row(outcome, "large", 1) == ["+0.0010"] * 3
    assert "On 142 impressions of validation, one seed:" in outcome.lines
    assert outcome.result["models"][0]["figures"]["ctcvr.auc"]["sd"] is None
    assert outcome.lines[0].startswith(
        "Of 2 models, large has the highest CTCVR AUC on validation, 0.7120: 0.0010 above small, less than the standard"
    )


def test_a_model_alone_is_a_table_without_differences(tmp_path, picture):
    outcome = compared(tmp_path, models=["small"])
    assert outcome.lines[0] == "small has CTCVR AUC 0.7210 on validation"
    assert "Difference" not in "\n".join(outcome.lines)


def test_the_first_model_may_be_the_best(tmp_path):
    outcome = compared(tmp_path, models=["large", "small"])
    assert outcome.lines[0] == "No model is above large, which has CTCVR AUC 0.7220 on validation"


def test_a_training_that_fails_is_shown_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "crash 2")
    progress = Lines()
    outcome = compared(tmp_path, progress)
    assert not outcome.done
    assert outcome.result["failed"] == {
        f"{name}, seed 2": "The loss is not finite at step 3." for name in ("small", "large")
    }
    assert len([line for line in progress.lines if "failed: The loss is not finite at step 3. (what it" in line]) == 2
    assert outcome.lines[-2] == "large, seed 2 has failed: The loss is not finite at step 3."
    assert outcome.result["models"][0]["seeds"] == [1, 3]
    assert "Step 3\n" in (tmp_path / "out/models/small/seed-2/log.txt").read_text()
    monkeypatch.delenv("PLAY")
    assert compared(tmp_path).done  # the same command tries them again
    assert starts(tmp_path)["small-1"] == 1


def test_when_all_fail_there_is_no_table(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAY", "crash")
    with pytest.raises(RunsFailedError, match="All 6 runs have failed. The first one: small, seed 1: The loss is not"):
        compared(tmp_path)
    assert not (tmp_path / "out/comparison.md").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_comparison_goes_on_with_the_trainings_that_ran(tmp_path, monkeypatch, number):
    monkeypatch.setenv("PLAY", "wait")
    with stopped_when(lambda: starts(tmp_path), number), pytest.raises(StoppedBySignal) as stopped:
        compared(tmp_path, seeds=1)
    assert stopped.value.number == number
    monkeypatch.delenv("PLAY")
    outcome = compared(tmp_path, seeds=1)
    assert starts(tmp_path) == {"large-1": 1, "small-1": 2}
    small, large = outcome.result["models"]
    assert small["cpu_s_per_million_impressions"]["mean"] is None  # its processor time was not followed to the end
    assert large["cpu_s_per_million_impressions"]["mean"] > 0
    assert "–" in outcome.lines[3]


def test_a_figure_that_is_not_there_is_a_dash(tmp_path, monkeypatch, picture):
    monkeypatch.setenv("PLAY", "nan")
    outcome = compared(tmp_path, seeds=2)
    assert outcome.result["models"][0]["figures"]["ctcvr.auc"] == {"count": 0, "mean": None, "sd": None}
    assert row(outcome, "small")[:3] == ["–"] * 3


def test_each_job_has_its_own_cores(tmp_path):
    compared(tmp_path, seeds=1, jobs=2)
    cores = [json.loads((tmp_path / f"out/models/{name}/seed-1/run/cores").read_text()) for name in ("small", "large")]
    assert cores == cores_of_jobs(sorted(os.sched_getaffinity(0)), 2)


def test_the_truth_measures_all_impressions(tmp_path, picture):
    groups = make_data(tmp_path / "data")
    write_truth(tmp_path / "raw", "train", groups["validation"], pcvr=0.6, more=60)
    outcome = compared(tmp_path, seeds=2, truth=tmp_path / "raw")
    small = outcome.result["models"][0]["figures"]
    assert small["truth.cvr.auc.all"]["mean"] == pytest.approx(0.5)
    assert small["truth.cvr.calibration.all"]["mean"] == pytest.approx(0.5 / 0.6)
    expected = 0.6 * math.log(0.6 / 0.5) + 0.4 * math.log(0.4 / 0.5)
    assert small["truth.cvr.divergence.rest"]["mean"] == pytest.approx(expected)
    text = "\n".join(outcome.lines)
    assert [row(outcome, "truth", i) for i in range(3)] == [["0.5000"] * 2, ["1.000"] * 3, ["0.0000"] * 3]
    assert "Mean true CVR: 0.6000 on clicked (" in text
    assert not list((tmp_path / "out").rglob("*.parquet"))
    # a changed truth is measured anew, without training
    write_truth(tmp_path / "raw", "train", groups["validation"], pcvr=0.5, more=60)
    again = compared(tmp_path, seeds=2, truth=tmp_path / "raw").result["models"][0]["figures"]
    assert again["truth.cvr.calibration.all"]["mean"] == pytest.approx(1)
    assert set(starts(tmp_path).values()) == {1}


def test_the_truth_of_another_log_is_refused_before_anything_is_trained_and_later(tmp_path):
    groups = make_data(tmp_path / "data")
    write_truth(tmp_path / "raw", "train", groups["validation"][:5])
    with pytest.raises(ConfigError, match="raw, which is of another log than .*data: truth_train.parquet has no row"):
        compared(tmp_path, seeds=1, truth=tmp_path / "raw")
    assert not (tmp_path / "out").exists()
    done = compared(tmp_path, seeds=1)
    with pytest.raises(ConfigError, match="is of another log"):
        compared(tmp_path, seeds=1, truth=tmp_path / "raw")
    assert json.loads((tmp_path / "out/comparison.json").read_text()) == done.result


def test_other_settings_of_a_model_or_another_data_set_are_refused_by_name(tmp_path):
    compared(tmp_path, seeds=1)
    changed = {**DEFINE, "large": {"model": {"hidden_units": [21]}, "max_steps": 5}}
    with pytest.raises(ConfigError) as refused:
        compared(tmp_path, seeds=1, define=changed)
    assert "holds runs of other settings: large.model.hidden_units was [20] and is [21], large.max_steps" in str(
        refused.value
    )
    assert compared(tmp_path, seeds=1, define=changed, models=["small"]).done  # that one is as it was
    make_data(tmp_path / "other", splits=("validation", "train", "test"))
    with pytest.raises(
        ConfigError, match="out holds runs on the data set .*/data; data is .*/other, which holds another"
    ):
        compared(tmp_path, seeds=1, data=tmp_path / "other")


def test_settings_of_a_model_whose_trainings_never_began_can_be_corrected(tmp_path, monkeypatch):
    compared(tmp_path, seeds=1, models=["small"])
    monkeypatch.setenv("PLAY", "crash")
    compared(tmp_path, seeds=1)
    monkeypatch.delenv("PLAY")
    changed = {**DEFINE, "large": {"model": {"hidden_units": [21]}}}
    assert compared(tmp_path, seeds=1, define=changed).done
    with pytest.raises(ConfigError, match=r"large.model.hidden_units was \[21\] and is \[20\]"):
        compared(tmp_path, seeds=1)


def test_a_model_that_cannot_be_made_is_refused_before_anything_is_trained(tmp_path):
    make_data(tmp_path / "data")
    define = {"small": DEFINE["small"], "large": {"model": {"network": "no_such_module:Network"}}}
    with pytest.raises(ConfigError, match="Model 'large': network 'no_such_module:Network' cannot be loaded"):
        run_comparison(compare_config(tmp_path, define=define), Lines(), esmm=played_esmm.ESMM)
    assert not (tmp_path / "out").exists()


def test_a_check_of_models_that_fails_itself_is_an_error(tmp_path):
    make_data(tmp_path / "data")
    with pytest.raises(EsmmError, match="The models cannot be made: no memory"):
        run_comparison(compare_config(tmp_path), Lines(), check=(sys.executable, "-c", "exit('no memory')"))


def test_what_the_data_set_does_not_have_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ConfigError, match="has no split 'tset'. Did you mean 'test'"):
        compared(tmp_path, eval_split="tset")
    make_data(tmp_path / "two", splits=("train", "test"))
    with pytest.raises(ConfigError, match="Model 'small' has early stopping, and .* has no validation split"):
        compared(tmp_path, data=tmp_path / "two", settings={"evaluation": {"early_stopping": 2}})
    assert not (tmp_path / "out").exists()


def test_without_a_validation_split_models_are_measured_on_test(tmp_path):
    make_data(tmp_path / "two", splits=("train", "test"))
    assert compared(tmp_path, data=tmp_path / "two", seeds=1).result["split"] == "test"


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").touch()
    with pytest.raises(ConfigError, match=r"holds something else than a comparison \(manifest.json\)"):
        compared(tmp_path)


def test_a_damaged_note_of_the_settings_is_named(tmp_path):
    compared(tmp_path, seeds=1)
    (tmp_path / "out/settings.json").write_text("{")
    with pytest.raises(Exception, match=r"settings.json is damaged"):
        compared(tmp_path, seeds=1)


def test_a_training_that_somebody_else_stops_has_failed(tmp_path, monkeypatch):
    from launcher.compare.data import CompareData
    from launcher.compare.folder import CompareFolder
    from launcher.compare.models import compared_models
    from launcher.compare.run_process import RunPlan, RunProcess

    monkeypatch.setenv("PLAY", "wait")
    make_data(tmp_path / "data")
    config = compare_config(tmp_path)
    folder, data = CompareFolder(path=tmp_path / "out"), CompareData.read(config)
    folder.path.mkdir()
    folder.check(data.folder, data.manifest_crc32c, compared_models(config))
    plan = RunPlan(model="small", seed=1, folder=folder, data=data, esmm=played_esmm.ESMM)
    process = RunProcess(plan, os.environ)
    while not starts(tmp_path) or process.share == 0:
        process.poll()
    assert process.share == pytest.approx(0.9 / 4)  # ten of forty steps; measuring is a tenth of the whole
    assert process._process is not None
    os.kill(process._process.pid, signal.SIGTERM)
    while process.running:
        process.poll()
    assert process.error == "Somebody else has stopped it by SIGTERM."
    assert replace(plan, cores=[0]).command("train")[-len(plan.command("train")) :] == plan.command("train")
