"""What a run has skipped of its data, over all ranks and from its beginning on."""

from collections.abc import Iterable

from esmm_dist.errors import StorageError
from esmm_dist.input.skipped import SkippedShard, gather_skipped, skipped_line
from esmm_dist.progress import Progress
from esmm_dist.ranks.world import World
from esmm_dist.train.run_folder import RunFolder


class Skips:
    """Counts each damaged shard once, however often it is read; the same on all ranks.

    Rank 0 keeps the count in the run's folder and tells each shard when it first hears of it: at the next pause.
    """

    def __init__(
        self, run: RunFolder | None, *, world: World, progress: Progress, collects: bool, resumed: bool
    ) -> None:
        """Begin with what the run has skipped before; a meeting of all ranks.

        Args:
            run: The run's folder; None on other ranks than 0.
            world: The ranks.
            progress: Told of each shard.
            collects: Whether anything may be skipped; False: ``collect`` is no meeting.
            resumed: Whether the run goes on from a checkpoint; False: what its folder says is of an older beginning.
        """
        self._run, self._world, self._progress, self._collects = run, world, progress, collects
        before = world.on_root(lambda: run.read_skipped() if run is not None and resumed else [])
        self._found = {each["path"]: SkippedShard(**each) for each in before}
        self._is_written = True

    @property
    def shards(self) -> list[SkippedShard]:
        """What was skipped so far, ordered by path."""
        return [self._found[path] for path in sorted(self._found)]

    def collect(self, own: Iterable[SkippedShard]) -> None:
        """Take over what this rank's reader has skipped; a meeting of all ranks.

        Args:
            own: All of it, or what is new.
        """
        if not self._collects:
            return
        for each in gather_skipped(self._world, own):
            if self._found.get(each.path) != each:
                self._found[each.path] = each
                self._is_written = False
                self._progress.message(f"Skipped: {skipped_line(each)}")
        if self._run is not None and not self._is_written:
            try:
                self._run.write_skipped(self.shards)
            except StorageError as e:
                self._progress.message(f"The list of skipped records could not be written, and will be later. {e}")
            else:
                self._is_written = True
