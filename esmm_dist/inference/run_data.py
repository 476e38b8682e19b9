"""The data set that a trained model scores where none is named."""

from pathlib import Path
from typing import TYPE_CHECKING

from esmm_dist.errors import InputDataError
from esmm_dist.inference.reached_data import ReachedData

if TYPE_CHECKING:
    from esmm_dist.inference.trained_model import TrainedModel


def data_of_run(trained: "TrainedModel", given: Path | None, run: str) -> Path:
    """Return the folder of a data set that fits a model.

    Args:
        trained: the model, from a checkpoint
        given: the data set; None: the one that the run was trained on last
        run: path or URI of the run

    Raises:
        InputDataError: None is given, and the run's is not within reach.
        EsmmError: The one that is given is not there, is damaged, or has another schema.
    """
    assert trained.checkpoint is not None  # from open_model
    reached = ReachedData.of(trained.checkpoint.manifest, given, run)
    if reached.manifest is None:
        text = reached.why_not[0].upper() + reached.why_not[1:]
        raise InputDataError(f"{text} Give the folder of the data set (--data).")
    return reached.folder
