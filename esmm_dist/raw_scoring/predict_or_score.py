"""``esmm predict``: of a data set, or of a raw log."""

from typing import TYPE_CHECKING

from esmm_dist.inference import predict
from esmm_dist.inference.predict import PredictConfig, PredictResult
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.progress import Progress

if TYPE_CHECKING:
    from esmm_dist.raw_scoring.raw_result import RawResult


def predict_or_score_raw(config: PredictConfig, progress: Progress) -> "PredictResult | RawResult":
    """Score a split of a data set, or a raw log where the settings name one; as ``predict`` and ``score_raw``."""
    if config.raw is None:
        return predict.predict(config, progress)
    import_tensorflow()  # quietly, before the modules below do it otherwise
    from esmm_dist.raw_scoring.score_raw import score_raw

    return score_raw(config, progress)
