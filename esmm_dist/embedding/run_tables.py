"""The tables of a run, as a value that is handed on."""

from dataclasses import dataclass

from esmm_dist.embedding.config import EmbeddingConfig


@dataclass(frozen=True, kw_only=True)
class RunTables:
    """Which tables a run has, and how their rows start and learn."""

    names: tuple[str, ...]
    embedding: EmbeddingConfig
    seed: int
    """Seed of the start values."""
    keep_undo: bool = False
    """Keep what the last step changed, so that it can be undone."""
