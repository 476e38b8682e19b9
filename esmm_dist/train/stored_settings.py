"""When a training's settings become those of its run."""

import time
from collections.abc import Sequence

from esmm_dist.errors import StorageError
from esmm_dist.progress import Progress
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run_folder import RunFolder

RETRY_S = 10.0
"""Between two tries of a storage that refuses."""


class StoredSettings:
    """Writes ``config.yaml`` once a step has been made with the settings in it, and not before.

    ``esmm train --run RUN`` takes its settings from there. Those of a start that failed (by a check, or by the first
    step) never get there, so that the next start finds those before, with which the run did work.
    """

    def __init__(
        self, run: RunFolder | None, config: TrainConfig, progress: Progress, chosen: Sequence[str] = ()
    ) -> None:
        """Write nothing yet.

        Args:
            run: The run's folder; None on other ranks than 0, where nothing is written.
            config: The resolved settings.
            progress: Told of a storage that refuses.
            chosen: lines about what was chosen from the log, see ``RunFolder.write_settings``
        """
        self._chosen = chosen
        self._run, self._config, self._progress = run, config, progress
        self._due_at: float | None = 0.0 if run is not None else None

    def store(self, *, last: bool = False) -> None:
        """Write the settings unless they are written.

        Args:
            last: Whether this is the last call; else a storage that refuses is tried again by a later one.

        Raises:
            StorageError: The storage refuses the last call.
        """
        if self._due_at is None or (time.monotonic() < self._due_at and not last):
            return
        assert self._run is not None
        try:
            self._run.write_settings(self._config, self._chosen)
        except StorageError as e:
            if last:
                raise
            if self._due_at == 0.0:
                self._progress.message(f"The run's settings could not be written, and will be later. {e}")
            self._due_at = time.monotonic() + RETRY_S
        else:
            self._due_at = None
