"""What a run has skipped of its data, over all ranks and from its beginning on."""

from collections.abc import Iterable

from esmm_dist.errors import StorageError
from esmm_dist.input.skipped import SkippedShard, gather_skipped, skipped_line
from esmm_dist.train.context import TrainingContext


class SkippedRecords:
    """Counts each damaged shard once, however often it is read; the same on all ranks.

    Rank 0 keeps the count in the run's folder and reports each shard at the next pause.
    """

    def __init__(self, context: TrainingContext, *, resumed: bool) -> None:
        """Begin with what the run has skipped before; a collective.

        Args:
            context: settings, ranks and run of the training
            resumed: whether the run resumes; False: what its folder says is left over from another beginning
        """
        self._context, run = context, context.run
        before = context.world.on_root(lambda: run.read_skipped() if run is not None and resumed else [])
        self._found = {each["path"]: SkippedShard(**each) for each in before}
        self._is_written = True

    @property
    def shards(self) -> list[SkippedShard]:
        """What was skipped so far, ordered by path."""
        return [self._found[path] for path in sorted(self._found)]

    def collect(self, own: Iterable[SkippedShard]) -> None:
        """Take over what this rank's reader has skipped; a collective unless bad records fail.

        Args:
            own: all of it, or what is new
        """
        context = self._context
        if context.config.input.on_bad_record != "skip":
            return
        for each in gather_skipped(context.world, own):
            if self._found.get(each.path) != each:
                self._found[each.path] = each
                self._is_written = False
                context.progress.message(f"Skipped: {skipped_line(each)}")
        if context.run is not None and not self._is_written:
            try:
                context.run.write_skipped(self.shards)
            except StorageError as e:
                context.progress.message(f"The list of skipped records could not be written and will be retried. {e}")
            else:
                self._is_written = True
