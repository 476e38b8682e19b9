"""The ``schedule:`` of a job file: when a task of one pod runs, again and again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from esmm_dist.config import build_from
from esmm_dist.errors import ConfigError
from esmm_dist.yaml_text import YamlText
from launcher.cluster.cron import CronTimes
from launcher.tasks import TaskName

LEAST_DEADLINE_S = 10
"""Kubernetes looks at its CronJobs every 10 s: a shorter deadline would have passed before it does."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """When a job's task runs. ``schedule: "0 4 * * *"`` is short for ``schedule: {cron: "0 4 * * *"}``."""

    cron: str
    """Five fields (minute, hour, day of the month, month, day of the week: 0 is Sunday), or @hourly, @daily, @weekly,
    @monthly, @yearly."""

    time_zone: str = "UTC"
    """Time zone of ``cron``, such as Europe/Berlin. Before Kubernetes 1.25 only UTC is accepted, and means the clock of
    the cluster's controller, which nearly everywhere is UTC."""

    overlap: Literal["Forbid", "Replace", "Allow"] = "Forbid"
    """What happens when it is time and the run before has not ended: ``Forbid`` leaves that one alone and starts the
    next after it, if ``starting_deadline_s`` allows it; ``Replace`` ends it; ``Allow`` starts a second one."""

    starting_deadline_s: int = 21600
    """Seconds after its time within which a run may still start, where the cluster was down, or the run before took
    longer. What is later is left out; a pipeline does all days that are missing with the next run."""

    keep_done: int = 3
    """Finished runs that stay, with their logs, where they succeeded."""

    keep_failed: int = 3
    """Finished runs that stay, with their logs, where they failed."""

    suspend: bool = False
    """Whether no run starts. ``esmm resume`` lets them start, ``esmm cancel`` suspends again."""

    def __post_init__(self) -> None:
        _ = self.times
        _ = self.zone
        if self.starting_deadline_s < LEAST_DEADLINE_S:
            raise ConfigError(
                f"starting_deadline_s is {self.starting_deadline_s}. Set {LEAST_DEADLINE_S} or more: the cluster looks "
                "for runs that are due every 10 s."
            )
        for name in ("keep_done", "keep_failed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 0 or more.")

    @property
    def times(self) -> CronTimes:
        """The times.

        Raises:
            ConfigError: ``cron`` cannot be read
        """
        return CronTimes.parse(self.cron)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone.

        Raises:
            ConfigError: there is none of this name
        """
        try:
            return ZoneInfo(self.time_zone)
        except (OSError, ValueError, KeyError) as e:  # ZoneInfoNotFoundError is a KeyError
            raise ConfigError(
                f"time_zone is '{self.time_zone}', which is not known. Give a name such as Europe/Berlin or UTC."
            ) from e

    def next_after(self, moment: datetime) -> datetime:
        """Return when the next run after a moment is due, in the schedule's zone."""
        return self.times.after(moment, self.zone).astimezone(self.zone)


def read_schedule(text: YamlText, task: TaskName) -> ScheduleConfig | None:
    """Return the schedule of a job file; None: the job runs once.

    Raises:
        ConfigError: something is wrong with it; the message begins with FILE:LINE
    """
    given: Any = text.data.get("schedule")
    if task == "train":
        # train has a setting of this name, the course of the learning rates
        if isinstance(given, Mapping) or (isinstance(given, str) and (" " in given or given.startswith("@"))):
            raise text.error(
                ["schedule"],
                "task: train has no times: its setting 'schedule' is the course of the learning rates. For a training "
                "on each day's log, schedule a task: pipeline.",
            )
        return None
    if given is None:
        return None
    if task == "serve":
        raise text.error(
            ["schedule"], "task: serve has no times: its pods answer until esmm cancel. Leave schedule out."
        )
    if isinstance(given, str):
        try:
            return ScheduleConfig(cron=given)
        except ConfigError as e:
            raise text.error(["schedule"], f"schedule: {e}") from e
    found = build_from(text, ScheduleConfig, given, ["schedule"])
    if task == "pipeline" and found.overlap == "Allow":
        raise text.error(
            ["schedule", "overlap"],
            "schedule.overlap is Allow, but a second pipeline in the same work folder is refused. Set Forbid or "
            "Replace.",
        )
    return found
