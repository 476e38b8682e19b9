"""``esmm predict``: write a model's predictions for one split."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.tasks import TASKS
from launcher.terminal.json_line import json_value


def _run(settings: Any, progress: Progress) -> Outcome:
    from esmm_dist.inference.predict import predict

    result = predict(settings, progress)
    return Outcome(lines=result.lines(), result=json_value(result))


COMMAND = Command(
    name="predict",
    summary="Write a file of predictions (Parquet or CSV): sample_id, pctr, pcvr, pctcvr.",
    example="esmm predict --run run --data data --split test --out predictions.parquet",
    load_settings=TASKS["predict"].load_settings,
    run=_run,
    in_ranks=True,
    stored=TASKS["predict"].stored,
)
