"""A settings class that has one of every kind of setting that commands have."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from esmm_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """The embedding table.

    A second paragraph, which help leaves out.
    """

    embedding_dim: int = 16
    """Floats in a row. 16 suits
    a test."""

    optimizer: Literal["adagrad", "sgd"] = "adagrad"
    """How rows are updated."""

    def __post_init__(self) -> None:
        if self.embedding_dim < 1:
            raise ConfigError(f"embedding_dim is {self.embedding_dim}. Set 1 or more.")


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Settings of a sample command."""

    data: Path
    """Folder to read."""

    shuffle: bool = True
    """Whether the order changes."""

    towers: tuple[int, ...] = (256, 128)
    """Width of each layer."""

    limit: float | None = None
    """Stop there. None: do not stop."""

    task_weights: dict[str, float] = field(default_factory=lambda: {"ctr": 1.0})
    """Weight of each task's loss."""

    table: TableConfig = TableConfig()
