"""The compiled forward pass: logits and losses of a batch, without dropout."""

import tensorflow as tf

from esmm_dist.arrays import F32
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.inputs import BatchTensors, ModelInputs, input_signature, outputs_of_inputs
from esmm_dist.model.losses import chain_loss_sums


class CompiledForward:
    """Scores batches of any size."""

    def __init__(self, model: Esmm) -> None:
        """Prepare to compile; the first call does."""
        self.model = model
        self._forward = tf.function(self._forward_pass, input_signature=[input_signature(model)], autograph=False)

    def __call__(self, inputs: ModelInputs) -> tuple[F32, F32]:
        """Return the logits float32 [B, K] of the conditional probabilities, and each label's loss sum float32 [K]."""
        logits, loss_sums = self._forward(inputs.tensors)
        return logits.numpy(), loss_sums.numpy()

    def _forward_pass(self, inputs: BatchTensors) -> tuple[tf.Tensor, tf.Tensor]:
        logits = outputs_of_inputs(self.model, inputs)
        return logits, chain_loss_sums(logits, inputs.labels, inputs.sample_weights)
