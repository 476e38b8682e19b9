"""The folder of a run: settings, logs, metrics, and the guard against two trainings in one folder.

::

    RUN/config.yaml        resolved settings, as the run was started (or resumed) with
    RUN/metrics.json       the newest evaluation, and all before it
    RUN/train_log.jsonl    training losses, one line a window of log_every_steps
    RUN/tensorboard/       the same as scalars
    RUN/checkpoints/       see esmm_dist.checkpoint.format
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from esmm_dist.config import to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.train.config import TrainConfig

CONFIG_NAME = "config.yaml"
METRICS_NAME = "metrics.json"
LOG_NAME = "train_log.jsonl"
TENSORBOARD_NAME = "tensorboard"

# Settings that shape the state: with another value the saved state would mean something else
_FIXED = ("seed", "schedule", "warmup_steps", "cooldown", "input", "embedding", "model", "dense")
_FREE_WITHIN_FIXED = {("input", "epochs"), ("input", "prefetch")}


@contextmanager
def locked_run(run: Path) -> Iterator[None]:
    """Hold the run's folder for one training; make it if it is missing.

    Raises:
        ConfigError: Another process trains in it, or the path is a file.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as e:
        raise ConfigError(f"run is {run}, which is not a folder. Give another path.") from e
    with (run / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise ConfigError(f"Another process is training in {run}. Wait for it, or give another --run.") from e
        yield


def write_settings(run: Path, config: TrainConfig) -> None:
    """Write the resolved settings."""
    _replace(run / CONFIG_NAME, yaml.safe_dump(to_mapping(config), sort_keys=False, allow_unicode=True))


def check_settings_fit(config: TrainConfig, saved: dict[str, Any], checkpoint: Path) -> None:
    """Compare the settings with those of the checkpoint that training would resume from.

    Raises:
        ConfigError: A setting that shapes the saved state has changed; the message names it and both values.
    """
    current = to_mapping(config)
    for group in _FIXED:
        now, before = current[group], saved[group]
        names = now.keys() if isinstance(now, dict) else [None]
        for name in names:
            if (group, name) in _FREE_WITHIN_FIXED:
                continue
            value, old = (now, before) if name is None else (now[name], before.get(name))
            if value != old:
                raise ConfigError(
                    f"{name or group} is {value} but {old} in {checkpoint}, from which this run would resume. "
                    f"Set it back to {old}, or start a new run with another --run."
                )


def write_metrics(run: Path, evaluations: list[dict[str, Any]]) -> None:
    """Write all evaluations so far; the newest stands first on its own."""
    newest = evaluations[-1] if evaluations else {}
    _replace(run / METRICS_NAME, json.dumps({"newest": newest, "evaluations": evaluations}, indent=1) + "\n")


def read_log(run: Path, up_to_step: int) -> list[dict[str, Any]]:
    """Return the training log's entries up to a step; what a killed run wrote beyond its checkpoint is left out."""
    path = run / LOG_NAME
    if not path.is_file():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the half line of a killed run
            continue
        if entry["step"] <= up_to_step:
            entries.append(entry)
    return entries


def write_log(run: Path, entries: list[dict[str, Any]]) -> None:
    """Replace the training log."""
    _replace(run / LOG_NAME, "".join(json.dumps(entry) + "\n" for entry in entries))


def append_log(run: Path, entry: dict[str, Any]) -> None:
    """Add one entry to the training log."""
    with (run / LOG_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
