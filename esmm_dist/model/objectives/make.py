"""Make the objective that the settings name."""

from esmm_dist.model.objectives.config import ObjectiveConfig, ObjectiveName
from esmm_dist.model.objectives.counterfactual_risk import DebiasedProducts, DoublyRobust, FactualAndCounterfactual
from esmm_dist.model.objectives.entire_space import Division, RunningProducts
from esmm_dist.model.objectives.label_shares import LabelShares
from esmm_dist.model.objectives.objective import ModelObjective
from esmm_dist.model.objectives.on_reached import OnReached, Oversampling, Unbiased
from esmm_dist.schema.label_tree import LabelTree

_CLASSES: dict[ObjectiveName, type[ModelObjective]] = {
    "esmm": RunningProducts,
    "base": OnReached,
    "amt": RunningProducts,
    "division": Division,
    "oversampling": Oversampling,
    "unbias": Unbiased,
    "escm2-ips": DebiasedProducts,
    "escm2-dr": DoublyRobust,
    "dcmt": FactualAndCounterfactual,
}


def make_objective(config: ObjectiveConfig, tree: LabelTree, shares: LabelShares | None = None) -> ModelObjective:
    """Return the objective of a model.

    Args:
        config: settings
        tree: the labels
        shares: constants of the training data; None: the model is not trained, and losses are not scaled
    """
    return _CLASSES[config.objective](tree, config, shares or LabelShares.ones(len(tree.names)))
