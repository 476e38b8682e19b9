"""Run a preset's steps that are not done yet, and report what the model reached on the test split."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from esmm_dist.api.shipped_settings import settings_path
from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.near_names import nearest_hint
from esmm_dist.text_table import text_table
from esmm_dist.train.config import TrainConfig
from launcher.command import CommandContext, Outcome
from launcher.preset.check import check_training
from launcher.preset.presets import FEWEST_STEPS, HELPFUL_PASSES, PRESETS, plan
from launcher.steps.journal import DoneStep, Journal, lines_of, open_journal
from launcher.steps.run import run_steps, stopped_outcome
from launcher.steps.speed_table import path_bytes, speed_table, speeds
from launcher.steps.step import Step
from launcher.terminal.json_line import json_value
from preprocess.config import PreprocessConfig
from preprocess.read.inputs import NotAliCcpError

JOURNAL_NAME = "preset.json"

_PREPROCESS, _TRAIN = "preprocess", "train"
"""Names of steps."""

_OF_THE_PRESET = ("--config", "--data", "--run")
"""Flags of ``esmm train`` in the lines of every preset."""


@dataclass(frozen=True, kw_only=True)
class PresetConfig:
    """Which preset to run, on which log."""

    name: str | None = None
    """Preset: ``aliccp-large``, ``deepmtl`` or ``guidebook``. None: they are listed, and nothing is done."""

    raw: str | None = None
    """Folder with the raw logs, or its URI in an object store."""

    out: Path | None = None
    """Folder for the data set (``data``) and the run (``run``): new, empty, or that of the same command, which
    continues."""

    train: tuple[str, ...] = ()
    """Further settings of ``esmm train``, which go before the preset's: ``-- --max-steps 100``."""

    def __post_init__(self) -> None:
        if self.name is None:
            return
        if self.name not in PRESETS:
            raise ConfigError(f"There is no preset '{self.name}'.{nearest_hint(self.name, PRESETS)}")
        if self.raw is None or self.out is None:
            missing = "RAW and OUT are" if self.raw is None else "OUT is"
            raise ConfigError(
                f"{missing} missing. Give the folder of the raw log and a new one: esmm preset {self.name} RAW OUT"
            )
        own = [word for word in self.train if word.partition("=")[0] in _OF_THE_PRESET]
        if own:
            raise ConfigError(
                f"{own[0]} stands behind --, but a preset gives it itself. Leave it out, or type the lines that the "
                "preset shows with other values."
            )


def preset_command(settings: PresetConfig, context: CommandContext) -> Outcome:
    """Run a preset on a raw log, or continue it; without a name, list the presets.

    Raises:
        EsmmError: the folder is that of another command, or a step's command fails
    """
    if settings.name is None or settings.raw is None or settings.out is None:
        return _list()
    # --json and --debug of the whole line reach the words behind its -- too; steps report to this command alone
    train = [word for word in settings.train if word not in ("--json", "--debug")]
    steps = plan(settings.name, settings.raw, settings.out, train)
    context.settings_of_line(steps[1].args)
    journal = _open(settings.name, settings.out, steps)
    if _PREPROCESS not in journal.done:  # what does not fit shows now, not after an hour
        check_training(steps, context)
    try:
        stopped_at = run_steps(steps, journal, context)
    except NotAliCcpError as e:
        raise InputDataError(
            f"{e.wrong} A preset takes no other form. Check the folder; for a log of another form, write a schema and "
            "type the lines yourself: esmm preprocess RAW DATA --schema SCHEMA.yaml, esmm train --data DATA --run RUN."
        ) from e
    if stopped_at is not None:
        return stopped_outcome(f"The preset {settings.name}", stopped_at, journal)
    context.progress.message("")
    return _outcome(settings, settings.out, journal.done, train)


def _list() -> Outcome:
    width = max(map(len, PRESETS))
    files = [settings_path("deepmtl", cls) for cls in (PreprocessConfig, TrainConfig)]
    lines = [
        *(f"{name:<{width}}  {summary}" for name, summary in PRESETS.items()),
        "",
        "Run one:           esmm preset deepmtl RAW OUT",
        "Other settings:    esmm preset deepmtl RAW OUT -- FLAGS, those of esmm train",
        f"Settings and why:  {files[0]}",
        f"                   {files[1]}",
    ]
    return Outcome(lines=lines, result={"presets": PRESETS})


def _open(name: str, out: Path, steps: Sequence[Step]) -> Journal:
    """Return the journal of a preset, which may begin. Settings of a training that is not done may be corrected.

    Raises:
        ConfigError: the folder holds something else, or a preset with other lines; nothing in it is touched
    """
    refused = f"{out} exists and is not the folder of a preset. Give a new folder: esmm preset {name} RAW OTHER_FOLDER"
    journal = open_journal(out / JOURNAL_NAME, steps, refused=refused)
    if not journal.done and [each.name for each in out.glob("*")] == [JOURNAL_NAME]:
        return replace(journal, lines=lines_of(steps))  # nothing came of it: a wrong RAW may be corrected
    for step, before, now in zip(steps, journal.lines, lines_of(steps), strict=True):
        if before != now and (step.name != _TRAIN or _TRAIN in journal.done):
            raise ConfigError(
                f"{out} was begun with '{before}', and this command has '{now}'. Give a new folder, or repeat the "
                "command that began this one."
            )
    return replace(journal, lines=lines_of(steps))


def _outcome(settings: PresetConfig, out: Path, done: Mapping[str, DoneStep], train: Sequence[str]) -> Outcome:
    metrics = _tasks(done["evaluate"].result)
    sizes = {"preprocess": path_bytes(out / "data"), "train": path_bytes(out / "run")}
    lines = [
        *text_table(["test split", "AUC", "std. error", "log loss", "calibration"], _rows(metrics)),
        *_too_few_steps(settings, done["train"].result["step"], train),
        "",
        *speed_table(done, speeds(done), sizes),
        "",
        "What to do with it:",
        f"  esmm predict --run {out / 'run'} --data {out / 'data'} --split test --out predictions.parquet",
        f"  esmm export --run {out / 'run'} --out model",
    ]
    result = {
        "preset": settings.name,
        "folder": out,
        "metrics": metrics,
        "seconds": {step: each.seconds for step, each in done.items()},
        "bytes": sizes,
    }
    return Outcome(lines=lines, result=json_value(result))


def _too_few_steps(settings: PresetConfig, steps: int, train: Sequence[str]) -> list[str]:
    """Return what to say of a log that is too small for a preset; nothing of one that is not, or of chosen steps."""
    name = settings.name or ""
    fewest, given = FEWEST_STEPS.get(name, 0), {word.partition("=")[0] for word in train}
    if steps >= fewest or "--max-steps" in given:
        return []
    line = ["esmm", "preset", name, settings.raw or "", "OTHER_OUT", "--", *train]
    passes = HELPFUL_PASSES.get(name)
    more = [f"  more passes:            {shlex.join([*line, '--epochs', str(passes)])}"]
    return [
        "",
        f"{steps:,} steps are too few: {name} is meant for millions of impressions, and {fewest:,} steps or more.",
        *(more if passes is not None and "--epochs" not in given else []),
        f"  for a log of this size: {shlex.join(['esmm', 'preset', 'aliccp-large', settings.raw or '', 'OTHER_OUT'])}",
    ]


def _tasks(evaluation: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the metrics of the tasks among what ``esmm evaluate`` found."""
    return {
        name: value
        for name, value in evaluation.items()
        if isinstance(value, Mapping) and "auc_standard_error" in value and "log_loss" in value
    }


def _rows(metrics: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            task,
            _number(values["auc"], ".4f"),
            f"± {_number(values['auc_standard_error'], '.4f')}",
            _number(values["log_loss"], ".5f"),
            _number(values["calibration"], ".3f"),
        ]
        for task, values in metrics.items()
    ]


def _number(value: float | None, form: str) -> str:
    """Return a number as text; JSON has None where there is none, as for the AUC of one class."""
    return "none" if value is None else format(value, form)
