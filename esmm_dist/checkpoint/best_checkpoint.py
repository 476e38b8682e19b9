"""Find the best checkpoint of a run with early stopping."""

from esmm_dist.checkpoint.early_stopping import BestEvaluation, EarlyStopping
from esmm_dist.checkpoint.format import checkpoint_folder, checkpoint_steps, read_checkpoint_manifest
from esmm_dist.errors import CheckpointError
from esmm_dist.storage.folder import Folder


def best_evaluation(run: Folder) -> BestEvaluation | None:
    """Return the best evaluation of a run, as the newest checkpoint knows it whose manifest can be read.

    None: the run has no early stopping, no evaluation, or no such checkpoint.

    Raises:
        StorageError: The storage refuses.
    """
    for step in checkpoint_steps(run):
        try:
            manifest = read_checkpoint_manifest(checkpoint_folder(run, step))
        except CheckpointError:
            continue
        data_sets = manifest.state.get("data_sets", ())
        after_step = int(data_sets[-1]["first_step"]) if data_sets else 0
        stopping = EarlyStopping.of_settings(manifest.settings, after_step=after_step)
        return stopping.best(manifest.state.get("evaluations", ()), manifest.step) if stopping is not None else None
    return None
