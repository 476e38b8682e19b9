"""``esmm synth``: write a synthetic raw log with a known best model."""

from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.tasks import TASKS
from launcher.terminal.json_line import json_value


def _run(settings: Any, progress: Progress) -> Outcome:
    from preprocess.synthetic.write import synthesize

    report = synthesize(settings, progress)
    return Outcome(lines=report.lines(), result=json_value(report))


COMMAND = Command(
    name="synth",
    summary="Write a synthetic raw log (Ali-CCP form) and the best AUC that any model can reach on it.",
    example="esmm synth raw --impressions 300000",
    load_settings=TASKS["synth"].load_settings,
    run=_run,
    stored=TASKS["synth"].stored,
    positional=("out",),
)
