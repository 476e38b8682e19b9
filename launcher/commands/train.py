"""``esmm train``: train a model, or resume a run from its last checkpoint."""

from collections.abc import Mapping
from typing import Any

from esmm_dist.progress import Progress
from launcher.command import Command, Outcome
from launcher.commands.evaluate import metrics_lines
from launcher.tasks import TASKS
from launcher.terminal.json_line import json_value

_OF_ONE_START = ("servers", "token_file", "tls_ca", "tls_cert", "tls_key")
"""How the servers of one start were reached: those of esmm local are gone with it; a run goes on with any."""


def find_stored_settings(flags: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return the settings of an existing run, so that ``esmm train --run RUN`` alone resumes it.

    Where its rows were is left out: without ``--servers`` it goes on in this process.
    """
    if "run" not in flags:
        return None
    from esmm_dist.train.run_folder import read_settings

    stored = read_settings(flags["run"])
    if stored is None or not isinstance(stored.get("store"), Mapping):
        return stored
    store = {name: value for name, value in stored["store"].items() if name not in _OF_ONE_START}
    return {**stored, "store": store}


def _run(settings: Any, progress: Progress) -> Outcome:
    from esmm_dist.train.run import train
    from launcher.agent.worker_link import worker_link

    result = train(settings, progress, worker_link())
    lines = result.lines()
    if result.metrics:
        lines += metrics_lines(result.metrics, result.baseline)
    if result.baseline is not None:
        lines += [f"Warning: {line}" for line in result.baseline.warnings(result.metrics)]
    return Outcome(lines=lines, result=json_value(result))


COMMAND = Command(
    name="train",
    summary="Train ESMM on a data set, or resume a run: esmm train --run RUN",
    example="esmm train --data data --run run",
    load_settings=TASKS["train"].load_settings,
    run=_run,
    in_ranks=True,
    main=("data", "run", "epochs", "global_batch_records", "embedding_learning_rate", "servers"),
    find_stored=find_stored_settings,
)
