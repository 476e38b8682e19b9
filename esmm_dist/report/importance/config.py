"""The settings of ``esmm importance`` and of ``esmm explain``."""

from dataclasses import dataclass, field
from pathlib import Path

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.errors import ConfigError
from esmm_dist.input.config import OnBadRecord
from esmm_dist.parameter_server.config import ConnectionConfig


@dataclass(frozen=True, kw_only=True)
class ImportanceConfig:
    """Which model is asked what it uses, on what."""

    run: str
    """The run, a path or a URI; RUN:STEP names one of its checkpoints."""

    step: int | None = None
    """Step of the checkpoint. None: the best of a run with early stopping, else the newest that is undamaged."""

    data: Path | None = None
    """The data set. None: the one that the run was trained on last."""

    split: str | None = None
    """Split whose impressions are permuted. None: ``validation`` where the data set has one, else ``test``."""

    fields: tuple[str, ...] = ()
    """Fields, by name or alias. Empty: all that the model sees."""

    repeats: int = 3
    """Permutations of each field, 2 or more: more make the standard error smaller, and take as much longer."""

    most_impressions: int = 200_000
    """Impressions that are scored, whole user contexts, chosen by a hash; the command says so where there are more."""

    seed: int = 1
    """Seed of the permutations."""

    html: Path | None = None
    """HTML file to write, with the picture and the table. None: none."""

    png: Path | None = None
    """Folder to write the picture to, as a PNG file. None: none."""

    on_bad_record: OnBadRecord = "fail"
    """What to do with a record that cannot be read: ``fail``, or ``skip`` it and say how many were left out."""

    store: ConnectionConfig = field(default_factory=ConnectionConfig)

    def __post_init__(self) -> None:
        _ = self.checkpoint  # checks run and step
        for name, least in (("repeats", 2), ("most_impressions", 2)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set {least} or more.")

    @property
    def checkpoint(self) -> CheckpointChoice:
        """The checkpoint that is asked."""
        return CheckpointChoice.parse(self.run, self.step)


@dataclass(frozen=True, kw_only=True)
class ExplainConfig:
    """Which impression is explained, by which model."""

    run: str
    """The run, a path or a URI; RUN:STEP names one of its checkpoints."""

    sample_id: str
    """The impression: its number in the data set (``sample_id`` of predictions), or its text where the schema has
    texts."""

    step: int | None = None
    """Step of the checkpoint. None: the best of a run with early stopping, else the newest that is undamaged."""

    data: Path | None = None
    """The data set. None: the one that the run was trained on last."""

    split: str | None = None
    """Split to look in. None: all, test first."""

    most_fields: int = 10
    """Fields that are shown for each label, those that move its logit most; ``--json`` has all."""

    store: ConnectionConfig = field(default_factory=ConnectionConfig)

    def __post_init__(self) -> None:
        _ = self.checkpoint  # checks run and step
        if self.most_fields < 1:
            raise ConfigError(f"most_fields is {self.most_fields}. Set 1 or more.")

    @property
    def checkpoint(self) -> CheckpointChoice:
        """The checkpoint that is asked."""
        return CheckpointChoice.parse(self.run, self.step)
