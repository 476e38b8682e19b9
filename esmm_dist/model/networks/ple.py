"""Progressive layered extraction."""

import tensorflow as tf

from esmm_dist.model.base_network import BaseNetwork
from esmm_dist.model.config import ModelConfig
from esmm_dist.model.networks.expert_group import ExpertGroup, HeadTowers, mixed
from esmm_dist.model.pooled_fields import FieldLayout, PooledFields


class Ple(BaseNetwork):
    """Levels of experts, some of which all labels share and some of which are a label's own, and a tower a label.

    On level j, label k's gate weighs its own experts and the shared ones, and a shared gate weighs all of them::

        g_k,j = softmax(W_k,j · g_k,j-1) · S_k,j     S_k,j: what the own experts of k say of g_k,j-1, and what
        g_s,j = softmax(W_s,j · g_s,j-1) · S_s,j            the shared ones say of g_s,j-1; S_s,j: what all say
        y_k = h_k(g_k,N)                             g_k,0 = g_s,0 = x; the last level has no shared gate

    One level alone is CGC (customized gate control). Experts have the widths ``expert_units``, towers h_k the widths
    ``hidden_units``. On the first level, where all see x, the user's part of all products is computed once a group.

    Source: Tang, Liu, Zhao, Gong, "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for
    Personalized Recommendations", RecSys 2020, sections 4.1 and 4.2, https://doi.org/10.1145/3383313.3412236
    """

    always_shared = True

    def __init__(self, layout: FieldLayout, config: ModelConfig, *, outputs: int, seed: int) -> None:
        """Make the variables; see ``ExpertGroup`` and ``HeadTowers``."""
        super().__init__(layout, config, outputs=outputs, seed=seed)
        own, shared, units = config.own_experts, config.experts, config.expert_units[-1]
        every = outputs * own + shared
        levels = config.expert_levels
        self._first = ExpertGroup(
            self,
            "level_0",
            inputs=(layout.user_columns, layout.impression_columns),
            experts=every,
            gates=[own + shared] * outputs + [every] * (levels > 1),
        )
        self._further = [
            (
                [
                    ExpertGroup(self, f"level_{level}_own_{label}", inputs=[units], experts=own, gates=[own + shared])
                    for label in range(outputs)
                ],
                ExpertGroup(
                    self,
                    f"level_{level}_shared",
                    inputs=[units],
                    experts=shared,
                    gates=[every] * (level < levels - 1),
                ),
            )
            for level in range(1, levels)
        ]
        self._towers = HeadTowers(self, units)
        self.built = True

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Return float32 [B, outputs]."""
        experts, gates = self._first(pooled)
        count, own = self.outputs, self.config.own_experts
        of_labels = [experts[own * label : own * (label + 1)] for label in range(count)]
        found = self._weighed(of_labels, experts[own * count :], gates)
        for own_groups, shared_group in self._further:
            own_parts = [group(x) for group, x in zip(own_groups, found[:count], strict=True)]
            shared, shared_gates = shared_group(found[count])
            gates = [gate for _, own_gates in own_parts for gate in own_gates]
            found = self._weighed([says for says, _ in own_parts], shared, [*gates, *shared_gates])
        return self._towers(found, dropout_seed)

    def _weighed(
        self, of_labels: list[list[tf.Tensor]], shared: list[tf.Tensor], gates: list[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Return what a level's gates make of its experts: [B, units] a gate, first those of the labels.

        Args:
            of_labels: for each label what its own experts say, [B, units] each
            shared: what the shared experts say
            gates: float32 [B, n] each: the labels', and the shared one except on the last level
        """
        sets = [[*own, *shared] for own in of_labels]
        sets.append([*(expert for own in of_labels for expert in own), *shared])
        return [mixed(experts, gate) for experts, gate in zip(sets, gates, strict=False)]
