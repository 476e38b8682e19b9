"""When the settings of a training become those of its run."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from esmm_dist.errors import StorageError
from esmm_dist.train.context import TrainingContext
from esmm_dist.train.data_sets import DataSetRecord
from esmm_dist.train.run_settings import write_settings

RETRY_S = 10.0
"""Time between two tries of a storage that refuses."""


class SettingsWriter:
    """Writes ``config.yaml`` once a step has been made with the settings in it, and not before; on rank 0.

    With it ``data_sets.json``, which says that the run goes on with this data set.

    ``esmm train --run RUN`` takes its settings from there. Those of a start that failed (by a check, or by the first
    step) never get there, so that the next start finds those before, with which the run did work.
    """

    def __init__(self, context: TrainingContext, data_sets: Callable[[], Sequence[DataSetRecord]]) -> None:
        """Write nothing yet.

        Args:
            context: settings and run of the training
            data_sets: returns the data sets of the run up to now
        """
        self._context, self._data_sets = context, data_sets
        self._due_at: float | None = 0.0 if context.run is not None else None

    def write(self, *, last: bool = False) -> None:
        """Write the settings unless they are written.

        Args:
            last: whether this is the last call; else a storage that refuses is tried again by a later one

        Raises:
            StorageError: The storage refuses the last call.
        """
        if self._due_at is None or (time.monotonic() < self._due_at and not last):
            return
        context = self._context
        assert context.run is not None
        try:
            context.run.write_data_sets(self._data_sets())  # first: settings name the data set that this explains
            write_settings(context.run.folder, context.config, context.chosen_lines)
        except StorageError as e:
            if last:
                raise
            if self._due_at == 0.0:
                context.progress.message(f"The run's settings could not be written and will be retried. {e}")
            self._due_at = time.monotonic() + RETRY_S
        else:
            self._due_at = None

    def note_saved(self) -> None:
        """Write how far the run is with its data sets, after a checkpoint; only people read it then."""
        run = self._context.run
        assert run is not None
        with suppress(StorageError):  # the next checkpoint writes it too
            run.write_data_sets(self._data_sets())
