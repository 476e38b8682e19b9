"""The files that a run has in its folder, and their removal."""

import shutil

from esmm_dist.storage.folder import Folder
from esmm_dist.train.run_folder import TRACKERS_NAME
from esmm_dist.train.run_history import HISTORY_NAME
from esmm_dist.train.run_speed import SPEED_NAME
from launcher.run_files.log_files import FOLDER_NAME
from launcher.run_files.plain_run import TRAIN_LOCK_NAME
from launcher.run_files.run_record import LOCK_NAME, RECORD_NAME, STOP_NAME
from launcher.run_files.run_status import EVENTS_NAME, STATUS_NAME
from launcher.run_files.scale_request import SCALE_NAME

KEPT_NAMES = ("checkpoints", "config.yaml")
"""What a deletion that keeps the data leaves: a training can go on from it."""

OTHER_NAMES = (
    *(
        "metrics.json",
        "skipped.json",
        TRACKERS_NAME,
        SPEED_NAME,
        HISTORY_NAME,
        "train_log.jsonl",
        "tensorboard",
        FOLDER_NAME,
    ),
    *(EVENTS_NAME, SCALE_NAME, STOP_NAME, TRAIN_LOCK_NAME, LOCK_NAME, STATUS_NAME, RECORD_NAME),
)
"""All else that belongs to a run. Those by which it is known to be one come last: a deletion that was interrupted can
be made again."""


def delete_files(run: Folder, *, keep_data: bool) -> list[str]:
    """Remove what a run has written, and its folder if nothing is left there; return what is left.

    Args:
        run: folder of the run
        keep_data: whether to leave the checkpoints and the settings

    Raises:
        StorageError: The storage refuses; the same call goes on.
    """
    for name in OTHER_NAMES if keep_data else KEPT_NAMES + OTHER_NAMES:
        _remove(run, name)
    if not run.is_local:
        return []
    left = sorted(path.name for path in run.local_path.iterdir())
    if not left:
        run.local_path.rmdir()
    return left


def _remove(run: Folder, name: str) -> None:
    if not run.is_local:
        run.delete_file(name)
        (run / name).delete()
        return
    path = run.local_path / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
