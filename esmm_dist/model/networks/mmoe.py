"""Multi-gate mixture of experts."""

import tensorflow as tf

from esmm_dist.model.base_network import BaseNetwork
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.expert_group import ExpertGroup, HeadTowers, mixed
from esmm_dist.model.pooled_fields import FieldLayout, PooledFields


class Mmoe(BaseNetwork):
    """Experts that all labels share, a gate a label that weighs them, and a tower a label.

    In formulas::

        y_k = h_k(Σ_i g_k(x)_i · f_i(x)),   g_k(x) = softmax(W_k · x)

    with the experts f_1 .. f_n of the widths ``expert_units`` and the towers h_k of the widths ``hidden_units``.

    Source: Ma, Zhao, Yi, Chen, Hong, Chi, "Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts", KDD 2018, section 4.2, https://doi.org/10.1145/3219819.3220007
    """

    always_shared = True

    def __init__(self, layout: FieldLayout, config: ModelConfig, *, outputs: int, seed: int) -> None:
        """Make the variables; see ``ExpertGroup`` and ``HeadTowers``."""
        super().__init__(layout, config, outputs=outputs, seed=seed)
        columns = (layout.user_columns, layout.impression_columns)
        self._experts = ExpertGroup(
            self, "expert", inputs=columns, experts=config.experts, gates=[config.experts] * outputs
        )
        self._towers = HeadTowers(self, config.expert_units[-1])
        self.built = True

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Return float32 [B, outputs]."""
        experts, gates = self._experts(pooled)
        return self._towers([mixed(experts, gate) for gate in gates], dropout_seed)
