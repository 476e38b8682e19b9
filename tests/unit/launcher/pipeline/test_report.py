"""The table of days: what was before learning, what came of it, what is in service."""

from launcher.pipeline.report import days_result, days_table
from launcher.pipeline.state import DayState, PipelineState, StepState
from tests.unit.launcher.pipeline.pipelines import DAY_1, DAY_2, DAY_3


def metrics(**aucs):
    return {task: {"auc": auc, "auc_standard_error": 0.01, "calibration": 1.02} for task, auc in aucs.items()}


def day(version=None, **results) -> DayState:
    steps = {name: StepState(key="k", result=result) for name, result in results.items()}
    return DayState(steps=steps, begun="id", version=version, published=version is not None)


def some_state() -> PipelineState:
    passed = {"passed": True, "reasons": (), "notes": ()}
    state = PipelineState()
    state.days[str(DAY_1)] = day(
        1,
        preprocess={"impressions": {"train": 900}},
        train={"step": 90, "progressive": {}},
        evaluate=metrics(ctr=0.7, cvr=None),
        gate=passed,
    )
    state.days[str(DAY_2)] = day(
        train={"step": 180, "progressive": metrics(ctr=0.65)},
        evaluate=metrics(ctr=0.5),
        compare=metrics(ctr=0.69),
        gate={**passed, "passed": False, "reasons": ("ctr: bad",)},
    )
    state.days[str(DAY_3)] = day(preprocess={})
    return state


def test_each_day_has_a_row_for_each_task():
    lines = [line.split() for line in days_table(some_state())]
    assert " ".join(lines[0]) == ("day task before learning AUC std. error in service calibration gate version")
    assert lines[1] == [str(DAY_1), "ctr", "-", "0.7000", "±", "0.0100", "-", "1.020", "first", "1"]
    assert lines[2] == ["cvr", "-", "-", "±", "0.0100", "-", "1.020"]
    assert lines[3] == [str(DAY_2), "ctr", "0.6500", "0.5000", "±", "0.0100", "0.6900", "1.020", "refused", "-"]
    assert len(lines) == 5  # the third day was not evaluated yet; a line of explanation


def test_a_pipeline_without_a_day_has_no_table():
    assert days_table(PipelineState()) == []


def test_a_program_gets_the_same():
    found = days_result(some_state())
    assert found[str(DAY_1)]["impressions"] == {"train": 900}
    assert (found[str(DAY_1)]["version"], found[str(DAY_2)]["version"]) == (1, None)
    assert found[str(DAY_2)]["gate"]["reasons"] == ("ctr: bad",)
    assert found[str(DAY_2)]["in_service_metrics"]["ctr"]["auc"] == 0.69
    assert found[str(DAY_3)]["metrics"] is None
