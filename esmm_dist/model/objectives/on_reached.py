"""Losses on the impressions that reached the label before: the paper's BASE, and two ways to help it.

The first label's loss is the cross entropy over all impressions. A later label's loss is that of its conditional
probability, over the impressions whose label before counts: a CVR network learns from clicks alone. A step divides
sums by all of its impressions, and clicks are few; so that the CVR network moves as fast as one that is trained by
itself on the mean over clicks, its terms are multiplied by a constant, the inverse share of train impressions that
reached the label before. Task weights come on top.
"""

import math

import tensorflow as tf

from esmm_dist.model.losses import running_log_probabilities
from esmm_dist.model.objectives.objective import ModelObjective, cross_entropy
from esmm_dist.model.objectives.propensities import InversePropensities


class OnReached(ModelObjective):
    """``base``: conditional probabilities are learned where the label before counts.

    Source: Ma et al., "Entire Space Multi-Task Model", SIGIR 2018, arXiv 1804.07931, section 2.2 and BASE in section
    3.1.
    """

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the K losses in a run's log: here they are of the conditional probabilities."""
        first, *others = self.tree.tasks
        return f"{first.name}_loss", *(f"{task.name}_loss" for task in others if task.given is not None)

    def terms(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return the cross entropies, scaled to means over the impressions that they are of."""
        later, reached = self.after_first(labels)
        losses = reached * self.weights(outputs, labels) * cross_entropy(outputs[:, 1:], later)
        return tf.concat([cross_entropy(outputs[:, :1], labels[:, :1]), losses], axis=1)

    def weights(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return the weights of the terms of later labels, float32 [K - 1] or [B, K - 1]."""
        return tf.constant([_inverse(share) for share in self._shares_before], tf.float32)

    @property
    def _shares_before(self) -> list[float]:
        return [self.shares.of_labels[before] for before in self.tree.parents[1:]]


class Oversampling(OnReached):
    """``oversampling``: ``base``, with each positive of a conditional probability counted k times.

    Counting k times has the gradient of k copies in the data, which the paper makes; the mean is over the copies too.
    The odds that are learned are k times those of the log, so ln k is taken from the logits of predictions (King and
    Zeng, "Logistic regression in rare events data", 2001, equation 7): the paper, which reports AUCs, leaves it there.

    Source: Ma et al., SIGIR 2018, arXiv 1804.07931, section 3.1, OVERSAMPLING; Weiss, "Mining with rarity", 2004.
    """

    def conditional_logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the logits of the log's probabilities."""
        shift = [0.0] + [-math.log(self.config.oversampling_factor)] * (self.num_labels - 1)
        return outputs + tf.constant(shift, tf.float32)

    def weights(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return k for positives and 1 for others, over the share of all copies."""
        more = self.config.oversampling_factor - 1
        pairs = zip(self._shares_before, self.shares.of_labels[1:], strict=True)
        scale = tf.constant([_inverse(before + more * own) for before, own in pairs], tf.float32)
        return scale * (1.0 + more * labels[:, 1:])


class Unbiased(OnReached):
    """``unbias``: ``base`` on clicks that are accepted with probability proportional to 1 / pCTR.

    The accepted clicks are distributed as impressions are. A click with pCTR o is accepted with probability c / o,
    where c is the least o, and the mean over the accepted ones divides by c again. Here each click counts by what it is
    accepted with, which is the expectation of that step over the draws: the same expected gradient, less variance, no
    click thrown away, and nothing that would depend on how many ranks draw. The propensity o is the click network's
    own estimate, at least propensity_floor, without a gradient; the paper finds dividing by it unstable.

    Source: Ma et al., SIGIR 2018, arXiv 1804.07931, section 3.1, UNBIAS; Zadrozny, "Learning and evaluating classifiers
    under sample selection bias", ICML 2004.
    """

    def weights(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return the inverse propensities."""
        propensities = InversePropensities(self.tree, self.shares, self.config.propensity_floor)
        weights, _ = propensities.of(outputs, running_log_probabilities(outputs, self.tree))
        return propensities.of_full_log(weights, labels)


def _inverse(share: float) -> float:
    return 1 / share if share else 0.0  # where nothing reached the label before, there is nothing to count
