"""Score rows: read them, pull what they need, and run the model, a thread each, as scoring of a data set does."""

from collections.abc import Callable, Generator, Iterator
from typing import Generic, NamedTuple, TypeVar

from esmm_dist.arrays import F64
from esmm_dist.inference.scoring import PulledBatch, Scorer
from esmm_dist.input.prefetch import Prefetcher
from esmm_dist.raw_scoring.row_batches import RowBatch

_BATCHES_AHEAD = 2

Source = TypeVar("Source")


class AskedBatch(NamedTuple, Generic[Source]):
    """A batch of rows, and what they are of."""

    rows: RowBatch
    of: Source


class AnsweredBatch(NamedTuple, Generic[Source]):
    """A batch of rows with its logits, and what they are of."""

    rows: RowBatch
    of: Source
    logits: F64
    """float64 [B, K], of the conditional probabilities, in the batch's order"""


def answered(
    scorer: Scorer, asked: Callable[[], Iterator[AskedBatch[Source]]]
) -> Generator[AnsweredBatch[Source], None, None]:
    """Yield batches with their logits, in order. A thread reads ahead; closing the iterator ends it.

    Args:
        scorer: model and rows
        asked: called in a thread; reads the batches
    """

    def pulled() -> Iterator[tuple[AskedBatch[Source], PulledBatch]]:
        with Prefetcher(asked, depth=_BATCHES_AHEAD) as read:
            for each in read:
                yield each, scorer.pull(each.rows.batch)

    with Prefetcher(pulled, depth=_BATCHES_AHEAD) as ahead:
        for each, found in ahead:
            yield AnsweredBatch(each.rows, each.of, scorer.score(found))
