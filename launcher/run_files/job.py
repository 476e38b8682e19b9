"""The state of a job, wherever it runs, and its row in a list of jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from esmm_dist.train.data_sets import DataSetRecord
from launcher.run_files.plain_run import PlainProgress
from launcher.run_files.run_status import RunStatus
from launcher.run_files.schedule_status import ScheduleStatus
from launcher.run_files.serving_status import ServingStatus

THIS_MACHINE = "this machine"


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """The state of a job."""

    job: str
    """Name of a cluster job; folder or URI of a local run."""

    where: str
    """``namespace NS`` or ``this machine``."""

    state: str
    """The run's state; before there is a run ``pending``; a task of one pod is ``running``, ``done`` or ``failed``,
    one with a schedule ``running``, ``scheduled`` or ``suspended``, one that serves ``pending``, ``updating``,
    ``running`` or ``stopped``."""

    run: RunStatus | None = None
    """The newest status of the driver. None: it has not written one yet, or there is no driver (tasks of one pod)."""

    progress: PlainProgress | None = None
    """What the files of a local training without a driver tell. None: it has a driver, or has not begun."""

    stale: bool = False
    """Whether the run should be going on, and its driver has written nothing for a while."""

    troubles: Sequence[str] = ()
    """Why it does not go on: one line each."""

    data_sets: Sequence[DataSetRecord] = ()
    """Data sets that the run has learned from, the newest last; empty for a job of a cluster."""

    pods: Mapping[str, str] = field(default_factory=dict)
    """How many pods of each kind are there and ready: ``worker`` -> ``2 of 3 ready``."""

    schedule: ScheduleStatus | None = None
    """Its runs and the next one. None: it runs once."""

    serving: ServingStatus | None = None
    """Its pods that answer requests. None: it does not serve."""


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """One job in a list."""

    job: str
    where: str
    """Namespace; ``local`` for runs of this machine."""
    task: str
    state: str
    ranks: int | None = None
    step: int | None = None
    total_steps: int | None = None
    since: str = ""
    """When it was submitted."""
