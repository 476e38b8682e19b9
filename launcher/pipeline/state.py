"""What a pipeline has done: ``pipeline.json`` in its folder.

::

    {"format": "esmm_dist.pipeline", "format_version": 1,
     "days": {"2022-04-25": {"steps": {"preprocess": {"key": "...", "result": {...}}, "train": ...},
                             "begun": "ID of the data set whose training has begun", "version": 1}},
     "versions": [{"version": 1, "day": "2022-04-25", "step": 82, ...}],
     "pinned": [82]}

It holds no times, so that a pipeline that was killed and started again ends with the same bytes as one that was not.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder
from launcher.terminal.json_line import json_value

STATE_NAME = "pipeline.json"
FORMAT_VERSION = 1


@dataclass(kw_only=True)
class StepState:
    """A step that is done."""

    key: str
    """Hash of all that it depends on."""
    result: dict[str, Any]
    """What later steps need of what it reported."""


@dataclass(kw_only=True)
class DayState:
    """What has been done of a day."""

    steps: dict[str, StepState] = field(default_factory=dict)
    """Steps that are done, by name, in their order."""
    begun: str | None = None
    """Identity of the data set whose training has begun; from then on the day's data set stays as it is."""
    version: int | None = None
    """Version that its model is published as; set before the publishing begins."""
    published: bool = False


@dataclass(kw_only=True)
class VersionState:
    """A version that was published."""

    version: int
    day: str
    step: int
    """Step of the checkpoint."""
    metrics: dict[str, Any]
    """Metrics of its tasks on its own day."""
    checksum: str


@dataclass(kw_only=True)
class PipelineState:
    """All that a pipeline has done."""

    days: dict[str, DayState] = field(default_factory=dict)
    """By date, in their order."""
    versions: tuple[VersionState, ...] = ()
    """All that were published, oldest first; the last one is in service."""
    pinned: tuple[int, ...] = ()
    """Steps of the run that the pipeline has pinned, or was about to pin."""
    format: str = "esmm_dist.pipeline"
    format_version: int = FORMAT_VERSION

    @property
    def in_service(self) -> VersionState | None:
        """The model in service; None if nothing was published."""
        return self.versions[-1] if self.versions else None

    @property
    def begun_days(self) -> list[date]:
        """Days whose training has begun, oldest first."""
        return sorted(date.fromisoformat(day) for day, state in self.days.items() if state.begun is not None)

    def day(self, day: date) -> DayState:
        """Return the state of a day, which may begin."""
        return self.days.setdefault(str(day), DayState())


class StateFile:
    """Reads and writes the state, all or nothing, on a disk or in a store."""

    def __init__(self, work: Folder) -> None:
        self._work = work
        self._written = b""

    def read(self) -> PipelineState:
        """Return the state; that of a new pipeline if there is none.

        Raises:
            ConfigError: it cannot be read, or is of another version
        """
        path = f"{self._work}/{STATE_NAME}"
        try:
            mapping = json.loads(self._work.read_bytes(STATE_NAME))
        except FileNotFoundError:
            return PipelineState()
        except ValueError as e:
            raise ConfigError(f"{path} is damaged ({e}). Restore it from a backup, or begin in another folder.") from e
        if mapping.get("format_version") != FORMAT_VERSION:
            raise ConfigError(
                f"{path} has format version {mapping.get('format_version')}; this program reads {FORMAT_VERSION}. "
                "Install the version that wrote it, or begin in another folder."
            )
        return build(PipelineState, mapping, where=path)

    def write(self, state: PipelineState) -> None:
        """Write the state, if it has changed."""
        data = (json.dumps(json_value(asdict(state)), indent=1) + "\n").encode()
        if data != self._written:
            self._work.write_bytes(STATE_NAME, data)
            self._written = data
