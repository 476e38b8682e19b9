"""The compiled forward pass: logits of a batch, without dropout."""

import tensorflow as tf

from esmm_dist.arrays import F32
from esmm_dist.model.esmm import Esmm
from esmm_dist.model.inputs import BatchTensors, ModelInputs, input_signature, outputs_of_inputs


class CompiledForward:
    """Scores batches of any size."""

    def __init__(self, model: Esmm) -> None:
        """Prepare to compile; the first call does."""
        self.model = model
        self._forward = tf.function(self._forward_pass, input_signature=[input_signature(model)], autograph=False)

    def __call__(self, inputs: ModelInputs) -> F32:
        """Return the logits float32 [B, K] of the conditional probabilities."""
        logits: F32 = self._forward(inputs.tensors).numpy()
        return logits

    def _forward_pass(self, inputs: BatchTensors) -> tf.Tensor:
        return self.model.objective.conditional_logits(outputs_of_inputs(self.model, inputs))
