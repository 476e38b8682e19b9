"""Pins: checkpoints that stay however many newer ones come, such as the one in service.

A pin is a file beside the checkpoint, ``RUN/checkpoints/step-00000123.pin``: whoever pins needs no lock, a training
that runs meanwhile sees it at its next save, and a checkpoint that is written again keeps it.
"""

from esmm_dist.checkpoint.format import MANIFEST_NAME, checkpoint_folder, checkpoints_folder, folder_name, step_of
from esmm_dist.checkpoint.reader import open_checkpoint
from esmm_dist.errors import CheckpointError
from esmm_dist.storage.folder import Folder

_SUFFIX = ".pin"


def pin_checkpoint(run: Folder, step: int) -> None:
    """Keep a checkpoint until ``unpin_checkpoint``; a second call is harmless.

    A training in the run may go on meanwhile: on return the checkpoint is there and stays.

    Args:
        run: folder of the run
        step: step of the checkpoint

    Raises:
        CheckpointError: There is no such checkpoint, or it is damaged.
        StorageError: The storage refuses.
    """
    open_checkpoint(run, step)
    checkpoints_folder(run).write_bytes(f"{folder_name(step)}{_SUFFIX}", b"kept by esmm checkpoints --pin\n")
    if not checkpoint_folder(run, step).has(MANIFEST_NAME):  # removed before the pin was there
        unpin_checkpoint(run, step)
        raise CheckpointError(
            f"The checkpoint of step {step} of {run} was removed at this very moment, by a training that keeps newer "
            "ones (keep_checkpoints). Pin another one; esmm checkpoints RUN lists them."
        )


def unpin_checkpoint(run: Folder, step: int) -> bool:
    """Let a checkpoint go like any other; the next save of a training may remove it. Return whether it was pinned.

    Raises:
        StorageError: The storage refuses.
    """
    parent, name = checkpoints_folder(run), f"{folder_name(step)}{_SUFFIX}"
    pinned = parent.has(name)
    parent.delete_file(name)
    return pinned


def pinned_steps(run: Folder) -> list[int]:
    """Return the steps of the pinned checkpoints, oldest first; none if the run is not there.

    Raises:
        StorageError: The storage refuses.
    """
    names = (name.removesuffix(_SUFFIX) for name in checkpoints_folder(run).names() if name.endswith(_SUFFIX))
    return sorted(step for name in names if (step := step_of(name)) is not None)


def is_pinned(run: Folder, step: int) -> bool:
    """Return whether a checkpoint is pinned; the file is looked at, not a listing.

    Raises:
        StorageError: The storage refuses.
    """
    return checkpoints_folder(run).has(f"{folder_name(step)}{_SUFFIX}")
