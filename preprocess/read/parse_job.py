"""What the tasks that parse the chunks of one run share."""

from dataclasses import dataclass
from pathlib import Path

from esmm_dist.schema.fields import Schema
from esmm_dist.schema.sources import FlatSource


@dataclass(frozen=True, kw_only=True)
class ParseJob:
    """How all chunks of a run are parsed."""

    work: Path
    schema: Schema
    partitions: int
    chunk_bytes: int
    piece_items: int
    """Ids and other values of a flat log that are parsed at once."""
    test_begin: int | None = None
    """Key of the first time of the test split, where the schema cuts it by time out of the train files."""

    @property
    def flat_source(self) -> FlatSource:
        """The source of the schema, which is that of a flat log."""
        source = self.schema.flat_source
        assert source is not None  # only tasks of flat logs ask
        return source
