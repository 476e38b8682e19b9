"""How good predictions are: exact AUCs with their standard errors, log loss, calibration.

Here belongs arithmetic on finished scores, in NumPy float64. Computing the scores (TensorFlow) and writing the
results to files or TensorBoard do not belong here. Nothing here imports TensorFlow.
"""

from esmm_dist.model.metrics.auc import auc_standard_error, exact_auc, paired_auc_difference
from esmm_dist.model.metrics.calibration import calibration
from esmm_dist.model.metrics.gauc import Gauc, gauc
from esmm_dist.model.metrics.log_loss import log_loss
from esmm_dist.model.metrics.summary import TaskMetrics, to_mapping

__all__ = [
    "Gauc",
    "TaskMetrics",
    "auc_standard_error",
    "calibration",
    "exact_auc",
    "gauc",
    "log_loss",
    "paired_auc_difference",
    "to_mapping",
]
