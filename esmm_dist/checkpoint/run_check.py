"""Check that a folder is a run and not another one that a user may name in its place."""

from esmm_dist.checkpoint.format import MANIFEST_NAME, checkpoint_steps
from esmm_dist.errors import ConfigError
from esmm_dist.storage.folder import Folder


def refuse_other_folder(folder: Folder) -> None:
    """Check that a folder without a checkpoint is not a data set, or one checkpoint of a run.

    A training there would mix its files with those of the data set.

    Raises:
        ConfigError: It is one of the two.
        StorageError: The storage refuses.
    """
    if folder.has(MANIFEST_NAME) and not checkpoint_steps(folder):
        raise ConfigError(
            f"{folder} is no run: its {MANIFEST_NAME} is that of a data set, or of a single checkpoint. Give as --run "
            "the folder that esmm train --run wrote, or a new one to train in."
        )
