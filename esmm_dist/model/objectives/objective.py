"""The interface of objectives."""

from abc import ABC, abstractmethod

import tensorflow as tf

from esmm_dist.model.objectives.config import ObjectiveConfig
from esmm_dist.model.objectives.label_shares import LabelShares
from esmm_dist.schema.label_tree import LabelTree


class ModelObjective(ABC):
    """Turns the outputs of the networks into losses and predictions.

    A loss is a sum over impressions of terms that depend on that impression alone, and on constants of the data set:
    never on the rest of the batch. So the losses of all ranks add up to those of one rank with the whole batch, and the
    papers' weights that are normalised over a batch are not used here.

    With sample weights w each impression's terms count w times, and a step divides by the sum of the weights of its
    whole batch, over all ranks. An impression of weight 2 changes a model as two of weight 1 do.
    """

    def __init__(self, tree: LabelTree, config: ObjectiveConfig, shares: LabelShares) -> None:
        """Remember what losses depend on.

        Args:
            tree: the K labels
            config: settings
            shares: constants of the training data
        """
        self.tree, self.config, self.shares = tree, config, shares
        self.num_labels = len(tree.names)

    @property
    def head_labels(self) -> tuple[int, ...]:
        """Place of the label that each of the H outputs belongs to: the K labels, then those of second heads."""
        labels = tuple(range(self.num_labels))
        return labels + labels[1:] if self.config.num_heads(self.num_labels) > self.num_labels else labels

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the K losses in a run's log: here they are of the products along paths."""
        return tuple(f"{task.name}_loss" for task in self.tree.tasks if task.given is None)

    def conditional_logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the logits of P(label | label before it), float32 [B, K], from outputs float32 [B, H]."""
        return outputs[:, : self.num_labels] if len(self.head_labels) > self.num_labels else outputs

    def after_first(self, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the labels but the first, and whether the one before each counts: float32 [B, K - 1] each."""
        return labels[:, 1:], tf.gather(labels, tf.constant(self.tree.parents[1:], tf.int32), axis=1)

    @abstractmethod
    def terms(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return what each impression adds to each label's loss, float32 [B, K].

        Args:
            outputs: float32 [B, H]
            labels: float32 [B, K], 0/1, never 1 where the label before is 0
        """

    def loss_sums(self, outputs: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
        """Return each label's loss, summed over the impressions: float32 [K]; zeros for B = 0.

        Args:
            outputs: float32 [B, H]
            labels: float32 [B, K], 0/1, never 1 where the label before is 0
            weights: float32 [B], sample weights; None: 1 each
        """
        terms = self.terms(outputs, labels)
        if weights is not None:
            terms *= weights[:, tf.newaxis]
        return tf.reduce_sum(terms, axis=0)


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the cross entropy of σ(logits), of the shape of both; finite, as are its gradients."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
