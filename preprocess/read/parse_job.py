"""What the tasks that parse the chunks of one run share."""

from dataclasses import dataclass
from pathlib import Path

from esmm_dist.schema.fields import Schema
from esmm_dist.schema.sources import FlatSource
from preprocess.read.day_cut import DayCut
from preprocess.read.row_choice import RowChoice

_NOTHING = RowChoice()


@dataclass(frozen=True, kw_only=True)
class ParseJob:
    """How all chunks of a run are parsed."""

    work: Path
    schema: Schema
    partitions: int
    chunk_bytes: int
    piece_items: int
    """Ids and other values of a flat log that are parsed at once."""
    is_joined: bool = False
    """Whether the impressions are those of an event log, whose events were joined (``event_labels``)."""
    choice: RowChoice = _NOTHING
    """What is taken out of the train split."""
    first_sample_id: int = 0
    """Sample id of the first row of the chunk, where rows are numbered and ``choice`` goes by their numbers."""
    cut: DayCut | None = None
    """Days of the data set and of its splits. None: the time decides nothing."""
    test_begin: int | None = None
    """Key of the first time of the test split, where the schema cuts it by time out of the train files."""

    @property
    def chooses_by_sample_id(self) -> bool:
        """Whether the sample id of an impression decides what becomes of it."""
        by_id = self.choice.validation_share > 0 and not self.schema.split_fields
        return by_id or self.choice.keep_negatives < 1

    @property
    def flat_source(self) -> FlatSource:
        """The source of the schema, which is that of a flat log."""
        source = self.schema.flat_source
        assert source is not None  # only tasks of flat logs ask
        return source
