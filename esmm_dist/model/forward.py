"""The compiled forward pass: logits and losses of a batch, without dropout."""

import tensorflow as tf

from esmm_dist.arrays import F32
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.inputs import ModelInputs, input_signature, pooled_batch
from esmm_dist.model.losses import chain_loss_sums


class CompiledForward:
    """Scores batches of any size."""

    def __init__(self, model: Esmm) -> None:
        """Prepare to compile; the first call does."""
        self._model = model
        signature = input_signature(model.dim_by_table, len(model.towers))
        self._forward = tf.function(self._forward_pass, input_signature=[signature], autograph=False)

    def __call__(self, inputs: ModelInputs) -> tuple[F32, F32]:
        """Return the logits float32 [B, K] of the conditional probabilities, and each label's loss sum float32 [K]."""
        logits, loss_sums = self._forward(inputs)
        return logits.numpy(), loss_sums.numpy()

    def _forward_pass(self, inputs: ModelInputs) -> tuple[tf.Tensor, tf.Tensor]:
        batch = pooled_batch(self._model, inputs)
        logits = self._model(batch.by_table, batch.group_of_impression, batch.groups, norms=batch.norms)
        return logits, chain_loss_sums(logits, inputs.labels, inputs.sample_weights)
