"""``esmm export``: write a model as a TensorFlow SavedModel."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.tasks import TASKS
from launcher.terminal.json_line import json_value


def _run(settings: Any, progress: Progress) -> Outcome:
    from esmm_dist.inference.export import export

    result = export(settings, progress)
    return Outcome(lines=result.lines(), result=json_value(result))


COMMAND = Command(
    name="export",
    summary="Write the model as a SavedModel that plain TensorFlow loads and serves.",
    example="esmm export --run run --out model/1",
    load_settings=TASKS["export"].load_settings,
    run=_run,
    stored=TASKS["export"].stored,
)
