"""The settings of ``esmm pipeline``: the content of a pipeline file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from esmm_dist.config import Named, build, typed_settings
from esmm_dist.errors import ConfigError
from esmm_dist.storage.location import Location
from esmm_dist.train.config import TrainConfig
from launcher.local.config import LocalConfig
from launcher.pipeline.gate_config import GateConfig
from launcher.trainings.settings_file import shared_settings
from preprocess.config import PreprocessConfig

_OF_PREPROCESS = ("raw", "out", "like", "vocabulary", "days", "by_day")
"""Settings of preprocess that the pipeline gives itself."""

_OF_TRAIN = ("data", "run")


@dataclass(frozen=True, kw_only=True)
class PipelineTraining:
    """How a day is trained on."""

    workers: int = 1
    """Worker processes (Horovod ranks) on this machine. 1 with servers 0 is ``esmm train``; otherwise it is ``esmm
    local`` with these numbers."""

    servers: int = 0
    """Parameter servers on this machine. 0: the embedding table lives within the worker, which then must be the only
    one."""

    min_workers: int | None = None
    """Least number of workers of an elastic training, which replaces lost ones (``esmm local --min-workers``). None:
    the training is not elastic."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of esmm train, in the form of its --config file; data and run are the pipeline's."""

    def __post_init__(self) -> None:
        typed = self.typed_settings
        build(TrainConfig, {**typed, "data": Path("data"), "run": "run"}, where="train.settings")
        if self.is_local_command:
            numbers = {"workers": self.workers, "servers": self.servers, "min_workers": self.min_workers}
            LocalConfig(**numbers, command=("train",))  # type: ignore[arg-type]  # checks them

    @property
    def is_local_command(self) -> bool:
        """Whether several processes train."""
        return self.workers != 1 or self.servers != 0 or self.min_workers is not None

    @property
    def typed_settings(self) -> dict[str, Any]:
        """The settings of esmm train, typed.

        Raises:
            ConfigError: one is unknown, of the wrong type, or the pipeline's own
        """
        not_given: dict[tuple[str, ...], str] = {
            (name,): "The pipeline gives it to each day's training" for name in _OF_TRAIN
        }
        not_given["store", "servers"] = "Servers are started with the training (train.servers)"
        not_given["publishing", "publish"] = "The pipeline publishes the models that its gate lets pass"
        return shared_settings("train.settings", self.settings, not_given)


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """Take each new day of logs from preprocess to a published model."""

    raw: str
    """Log of each day: a folder (path or URI) with ``{day}`` in it, such as ``raw/{day}`` or
    ``s3://bucket/log/{day:%Y/%m/%d}``. Without ``{day}`` it holds all days, of which each takes its own by the
    log's time (esmm preprocess --days)."""

    work: str
    """Folder (path or URI) of the pipeline: data sets of the days, the run, pipeline.json. Made if it is missing; the
    same command again continues what it holds."""

    publish: str
    """Folder (path or URI) where models are published: a folder for each version, named by its number as TensorFlow
    Serving wants it, and current.json, which names the newest."""

    first_day: date
    """The first day, such as 2022-04-25."""

    day: date | None = None
    """Do this day alone; those before it must be done. None: all days up to ``until``."""

    until: date | None = None
    """Do all days up to this one that are not done. None: up to yesterday, in ``time_zone``."""

    time_zone: str = "UTC"
    """Time zone in which "yesterday" is, such as Europe/Berlin. Days of a log are in the time zone of its schema."""

    skip_days: tuple[date, ...] = ()
    """Days that are left out, as there is no log of them."""

    preprocess: dict[str, Any]
    """Settings of esmm preprocess, in the form of its --config file. ``schema`` is needed; the first day's data set is
    made with it, and each later one --like that of the day before. ``validation_share`` makes a split to compare
    models on."""

    train: PipelineTraining = field(default_factory=PipelineTraining)

    gate: GateConfig = field(default_factory=GateConfig)

    calibrate: bool = True
    """Whether models are compared and published with the calibration that their checkpoints keep, if they keep one."""

    keep_versions: int = 3
    """Published versions that stay, the newest ones. 1 keeps only the model in service."""

    scratch: Path | None = None
    """Folder of this machine for copies of data sets, where ``work`` is in an object store: training reads files. None:
    the folder that ESMM_SCRATCH names, or one that goes with the command."""

    def __post_init__(self) -> None:
        for name in ("raw", "work", "publish"):
            if not getattr(self, name).strip():
                raise ConfigError(f"{name} is empty. Give a path or a URI.")
        self._check_days()
        self._check_places()
        self._check_preprocess()
        if self.keep_versions < 1:
            raise ConfigError(f"keep_versions is {self.keep_versions}. Set 1 or more: one is in service.")

    @property
    def has_a_folder_per_day(self) -> bool:
        """Whether each day's log is a folder of its own."""
        return self.raw_of(date(2001, 2, 3)) != self.raw_of(date(2004, 5, 6))

    def raw_of(self, day: date) -> str:
        """Return the place of a day's log.

        Raises:
            ConfigError: ``raw`` is not a pattern of a day
        """
        try:
            return self.raw.format(day=day)
        except (ValueError, KeyError, IndexError, AttributeError) as e:
            raise ConfigError(
                f"raw is {self.raw}, in which what stands in braces is not a day. Write {{day}} (2022-04-25) or "
                "{day:%Y/%m/%d}; a brace of a name is {{ or }}."
            ) from e

    @property
    def zone(self) -> ZoneInfo:
        """The time zone.

        Raises:
            ConfigError: there is none of this name
        """
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as e:
            raise ConfigError(
                f"time_zone is '{self.time_zone}', which is not known. Give a name such as Europe/Berlin or UTC."
            ) from e

    def _check_days(self) -> None:
        _ = self.zone
        if self.day is not None and self.until is not None:
            raise ConfigError("day and until are given together. Give one of them.")
        for name in ("day", "until"):
            value = getattr(self, name)
            if value is not None and value < self.first_day:
                raise ConfigError(
                    f"{name} is {value}, before first_day ({self.first_day}). Give that day or a later one."
                )
        if self.day in self.skip_days:
            raise ConfigError(f"day is {self.day}, which skip_days leaves out. Take it out of skip_days.")

    def _check_places(self) -> None:
        _ = self.raw_of(self.first_day)
        places = {"raw": self.raw_of(self.first_day), "work": self.work, "publish": self.publish}
        folders = {name: Location.parse(text) for name, text in places.items()}
        for name, other in (("publish", "work"), ("work", "publish"), ("work", "raw"), ("publish", "raw")):
            if folders[name].is_within(folders[other]):
                raise ConfigError(f"{name} is {folders[name]}, which lies in {other}. Give a folder of its own.")

    def _check_preprocess(self) -> None:
        typed = typed_settings(Named("preprocess"), PreprocessConfig, self.preprocess)
        for name in _OF_PREPROCESS:
            if name in typed:
                raise ConfigError(f"preprocess has {name}. The pipeline gives it to each day: leave it out.")
        if not typed.get("schema"):
            raise ConfigError("preprocess has no schema. Name one: preprocess: {schema: schema.yaml}")
        _checked_preprocess(typed)


def _checked_preprocess(typed: Mapping[str, Any]) -> PreprocessConfig:
    return build(PreprocessConfig, {**typed, "raw": Path("raw"), "out": Path("out")}, where="preprocess")
