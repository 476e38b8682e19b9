"""ESCM2: ESMM with a loss on the conditional probability that is debiased by inverse propensities."""

import tensorflow as tf

from esmm_dist.model.losses import product_cross_entropies, running_log_probabilities
from esmm_dist.model.objectives.objective import ModelObjective, cross_entropy
from esmm_dist.model.objectives.propensities import InversePropensities


class DebiasedProducts(ModelObjective):
    """ESMM's losses, and a risk on each conditional probability over the entire space.

    A label's loss is ``L_CTCVR + risk_weight · L_CVR``; with task weight w its place in the papers' sums is λ_g = w and
    λ_c = w · risk_weight. The first label has no label before it and keeps its cross entropy alone.
    """

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the K losses in a run's log: a later label's is the sum of two."""
        first, *others = self.tree.tasks
        names = zip(others[1::2], others[::2], strict=True)
        return f"{first.name}_loss", *(f"{product.name}_and_{own.name}_loss" for product, own in names)

    def terms(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return the cross entropies of the running products, with the risks of later labels added."""
        logits = outputs[:, : self.num_labels]
        running = running_log_probabilities(logits, self.tree)
        products = product_cross_entropies(*running, labels)
        propensities = InversePropensities(self.tree, self.shares, self.config.propensity_floor)
        risks = self.risks(outputs, labels, propensities.of(logits, running))
        weighted = self.config.risk_weight * propensities.of_full_log(risks, labels)
        return products + tf.pad(weighted, [[0, 0], [1, 0]])

    def risks(self, outputs: tf.Tensor, labels: tf.Tensor, inverse: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Return the risk of each impression and label but the first, float32 [B, K - 1].

        Here ``escm2-ips``: the cross entropy δ of the conditional probability where the label before counts (o = 1),
        over its propensity, ``o · δ / ô``. The paper's code normalises weights within a batch, this does not.

        Source: Wang et al., "ESCM2: Entire Space Counterfactual Multi-Task Model for Post-Click Conversion Rate
        Estimation", SIGIR 2022, arXiv 2204.05125, the inverse propensity score regulariser (ESCM2-IPS).

        Args:
            outputs: float32 [B, H]
            labels: float32 [B, K]
            inverse: 1 / ô and 1 / (1 - ô), float32 [B, K - 1] each
        """
        later, reached = self.after_first(labels)
        return reached * inverse[0] * cross_entropy(outputs[:, 1 : self.num_labels], later)


class DoublyRobust(DebiasedProducts):
    """``escm2-dr``: an imputation network for each later label predicts the error that a click would have shown.

    With δ as in ``escm2-ips`` and the imputed error δ̂ = softplus(output of the label's second head), which is above 0
    as a cross entropy is, an impression's risk is ``δ̂ + o · (δ - δ̂) / ô``, and the imputation network learns from ``o ·
    (δ - δ̂)² / ô`` with imputation_weight. The risk is right where the propensities or the imputed errors are. All
    networks learn from the risk, as in the paper; in the imputation's own loss δ is a target, through which no gradient
    goes.

    Source: Wang et al., SIGIR 2022, arXiv 2204.05125, the doubly robust regulariser (ESCM2-DR).
    """

    def risks(self, outputs: tf.Tensor, labels: tf.Tensor, inverse: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Return doubly robust risks and the imputation's losses, as in ``DebiasedProducts``."""
        later, reached = self.after_first(labels)
        error = cross_entropy(outputs[:, 1 : self.num_labels], later)
        imputed = tf.math.softplus(outputs[:, self.num_labels :])
        weights = reached * inverse[0]
        learning = weights * tf.square(tf.stop_gradient(error) - imputed)
        return imputed + weights * (error - imputed) + self.config.imputation_weight * learning


class FactualAndCounterfactual(DebiasedProducts):
    """``dcmt``: beside each later label a counterfactual network, which learns where the label before does not count.

    With o = 1 where the label before counts, ô its propensity, r the label, and r̂, r̂* the probabilities of the factual
    and the counterfactual network, an impression's risk is ``o · e(r, r̂) / ô + (1 - o) · e(1 - r, r̂*) / (1 - ô) + λ ·
    |1 - (r̂ + r̂*)|`` with cross entropies e and λ = counterfactual_weight: unclicked impressions, whose r is 0, are
    positives of the counterfactual network, and the two probabilities shall add up to 1. Predictions are the factual
    network's. The paper's final model normalises the inverse propensities over a batch (self-normalised IPS); this does
    not, and bounds them by propensity_floor.

    Source: Zhu et al., "DCMT: A Direct Entire-Space Causal Multi-Task Framework for Post-Click Conversion Estimation",
    ICDE 2023, arXiv 2302.06141, the entire-space counterfactual loss; λ_1 is 0.001 in implementations.
    """

    def risks(self, outputs: tf.Tensor, labels: tf.Tensor, inverse: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Return factual and counterfactual losses and the regulariser, as in ``DebiasedProducts``."""
        later, reached = self.after_first(labels)
        factual, counterfactual = outputs[:, 1 : self.num_labels], outputs[:, self.num_labels :]
        losses = reached * inverse[0] * cross_entropy(factual, later)
        losses += (1.0 - reached) * inverse[1] * cross_entropy(counterfactual, 1.0 - later)
        apart = tf.abs(1.0 - (tf.sigmoid(factual) + tf.sigmoid(counterfactual)))
        return losses + self.config.counterfactual_weight * apart
