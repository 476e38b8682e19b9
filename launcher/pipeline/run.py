"""Run a pipeline: the days that are not done, one after the other, and the report."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from typing import Any

from esmm_dist.storage.folder import Folder
from esmm_dist.storage.whole_file import write_durable
from launcher.command import CommandContext, Outcome
from launcher.pipeline.config import PipelineConfig
from launcher.pipeline.day import DayWork
from launcher.pipeline.days import day_before, days_to_do
from launcher.pipeline.lease import leased
from launcher.pipeline.places import Places, open_places
from launcher.pipeline.publish import check_publish_folder
from launcher.pipeline.put_into_service import put_into_service
from launcher.pipeline.report import days_result, days_table
from launcher.pipeline.state import STATE_NAME, PipelineState, StateFile
from launcher.pipeline.step_process import run_in_process
from launcher.pipeline.step_runner import RunProcess, StepRunner
from launcher.terminal.json_line import json_value
from launcher.trainings.locked_folder import locked_folder
from launcher.trainings.settings_file import settings_text, without_baseline

GATE_STATUS = 3
"""Exit status of a pipeline whose newest day was refused by the gate: nothing is broken, and an older model serves."""


def pipeline_command(settings: PipelineConfig, context: CommandContext) -> Outcome:
    """Do the days that are not done."""
    return run_pipeline(settings, context)


def run_pipeline(
    settings: PipelineConfig, context: CommandContext, run_process: RunProcess = run_in_process
) -> Outcome:
    """Do the days that are not done, and report all.

    Args:
        settings: the pipeline
        context: runs the lines that need no TensorFlow
        run_process: runs the others

    Raises:
        EsmmError: a day's log is missing, a step fails, or another pipeline works in the same folder
        StoppedBySignal: a signal came; the same command continues
    """
    work = Folder.open(settings.work)
    with ExitStack() as stack:
        check = stack.enter_context(_locked(settings, work, context))
        places = stack.enter_context(open_places(settings))
        file = StateFile(work)
        state = file.read()

        def save() -> None:
            check()
            file.write(state)

        days = days_to_do(settings, state.begun_days, datetime.now(UTC))
        publish = Folder.open(settings.publish)
        begun = [each.version for each in state.days.values() if each.version is not None]
        check_publish_folder(publish, state.versions, begun[-1] if begun else None)
        save()
        _write_settings(settings, places)
        for number, day in enumerate(days):
            before = day_before(day, state.begun_days)
            runner = StepRunner(context, run_process)
            runner.progress.message(f"{'' if number == 0 else chr(10)}Day {day}")
            day_work = DayWork(
                config=settings, places=places, day=day, before=before, state=state, save=save, runner=runner
            )
            if day_work.run():
                put_into_service(day_work, publish)
    return _outcome(settings, state, days)


@contextmanager
def _locked(settings: PipelineConfig, work: Folder, context: CommandContext) -> Iterator[Callable[[], None]]:
    """Hold the pipeline's folder, and yield what raises when it is no longer held."""
    if not work.is_local:
        with leased(work, context.progress) as lease:
            yield lease.check
        return
    lock = locked_folder(work.local_path, marker=STATE_NAME, what="a pipeline", command="esmm pipeline", setting="work")
    with lock:
        yield _held


def _held() -> None:
    """Do nothing: the kernel holds a lock on a disk until the process ends."""


def _write_settings(settings: PipelineConfig, places: Places) -> None:
    """Write the files that the lines of the steps name."""
    train = without_baseline(settings.train.settings)
    preprocess = {name: value for name, value in settings.preprocess.items() if name != "schema"}
    for path, values, command in (
        (places.train_file, train, "train"),
        (places.preprocess_file, preprocess, "preprocess"),
    ):
        text = settings_text(values, [f"Settings of esmm {command}, written by esmm pipeline from its file."])
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_durable(path, text.encode())


def _outcome(settings: PipelineConfig, state: PipelineState, days: list[date]) -> Outcome:
    refused = [
        day for day, each in state.days.items() if "gate" in each.steps and not each.steps["gate"].result["passed"]
    ]
    in_service = state.in_service
    lines = ["", *days_table(state), ""]
    if not days:
        lines = ["Nothing to do: there is no day yet to begin with.", *lines]
    if in_service is None:
        lines.append("No model is in service.")
    else:
        lines.append(
            f"In service: version {in_service.version}, of {in_service.day}, at step {in_service.step:,}: "
            f"{Folder.open(settings.publish)}/{in_service.version}"
        )
    newest = max(state.days, default=None)
    if newest is not None and newest in refused:
        lines.append(f"The model of {newest} was refused by the gate:")
        lines += [f"  {reason}" for reason in state.days[newest].steps["gate"].result["reasons"]]
    result: dict[str, Any] = {
        "work": str(Folder.open(settings.work)),
        "publish": str(Folder.open(settings.publish)),
        "in_service": in_service,
        "refused": refused,
        "days": days_result(state),
    }
    done = newest not in refused
    return Outcome(lines=lines, result=json_value(result), done=done, failed_status=GATE_STATUS)
