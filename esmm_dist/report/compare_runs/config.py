"""The settings of ``esmm compare-runs``."""

from dataclasses import dataclass, field
from pathlib import Path

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.errors import ConfigError
from esmm_dist.input.config import OnBadRecord
from esmm_dist.parameter_server.config import ConnectionConfig


@dataclass(frozen=True, kw_only=True)
class CompareRunsConfig:
    """Which two models are compared on what."""

    a: str
    """The first run, a path or a URI; RUN:STEP names one of its checkpoints."""

    b: str
    """The second run, likewise."""

    data: Path | None = None
    """The data set that both score. None: the one that A was trained on last."""

    split: str | None = None
    """Split that both score. None: ``validation`` where the data set has one, else ``test``."""

    on_bad_record: OnBadRecord = "fail"
    """What to do with a record that cannot be read: ``fail``, or ``skip`` it and say how many were left out."""

    store: ConnectionConfig = field(default_factory=ConnectionConfig)

    def __post_init__(self) -> None:
        for name in ("a", "b"):
            CheckpointChoice.parse(getattr(self, name), None)
        if self.a == self.b:
            raise ConfigError(f"a and b are both {self.a}. Name two runs, or two checkpoints of one: RUN:100 RUN:200")
