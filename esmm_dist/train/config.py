"""All settings of a training run, gathered from beside the code that they configure."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from esmm_dist.calibration.curves import CalibrationMethod
from esmm_dist.checkpoint.early_stopping import FIGURES, EarlyStopping
from esmm_dist.embedding.config import EmbeddingConfig
from esmm_dist.errors import ConfigError
from esmm_dist.input.config import InputConfig
from esmm_dist.model.config import HardwareConfig, ModelConfig
from esmm_dist.near_names import nearest_hint
from esmm_dist.parameter_server.config import ClientConfig
from esmm_dist.train.learning_rate import Schedule
from esmm_dist.train.publish_config import PublishConfig
from esmm_dist.train.tracking_config import TrackingConfig

_ADAM_EPSILON = 1e-8
_DENSE_LEARNING_RATE = 1e-3
_COOLDOWN = 0.2


@dataclass(frozen=True, kw_only=True)
class DenseOptimizerConfig:
    """How the towers learn."""

    dense_optimizer: Literal["adam", "adagrad", "sgd"] = "adam"
    """Optimizer of the tower weights, as Keras has it, with Keras' defaults for what has no setting here."""

    dense_learning_rate: float | None = None
    """Step size of the tower weights, a positive number. None: chosen from the log, 1e-3 on a large one (Adam's usual
    value), less on a small one."""

    dense_adam_epsilon: float = _ADAM_EPSILON
    """Adam's eps, a positive number; the default is that of its authors. Gradients of a mean over thousands of
    impressions, few of which convert, are not far above Keras' 1e-7, by which first layers learn too slowly."""

    def __post_init__(self) -> None:
        for name in ("dense_learning_rate", "dense_adam_epsilon"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name} is {value}. Set a positive number.")
        if self.dense_adam_epsilon != _ADAM_EPSILON and self.dense_optimizer != "adam":
            raise ConfigError(
                f"dense_adam_epsilon is {self.dense_adam_epsilon}, which adam alone uses, and dense_optimizer is "
                f"{self.dense_optimizer}. Set dense_adam_epsilon to {_ADAM_EPSILON}, or dense_optimizer to adam."
            )

    @property
    def learning_rate(self) -> float:
        """Return dense_learning_rate, or that of large logs if it is open."""
        return _DENSE_LEARNING_RATE if self.dense_learning_rate is None else self.dense_learning_rate


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Evaluation during and after training."""

    eval_split: str | None = None
    """Split to evaluate on. A data set without it is trained without evaluation, and says so. None: ``validation``
    where the data set has one, so that settings are not chosen by the test split; else ``test``."""

    eval_every_steps: int | None = None
    """Steps between evaluations during training. 0: only at the end. None: 2000, some 8 M impressions of a large log;
    with early stopping a tenth of a pass over the data, if that is less. Early stopping takes that for 0, too."""

    eval_max_impressions: int = 1_000_000
    """Impressions (about) of each evaluation during training, from the start of the split. The one at the end uses
    the whole split. 0: the whole split always."""

    eval_first: bool = False
    """Evaluate the run on the train split of its next data set before it learns from it: progressive validation, as
    online learning is judged. The metrics stand in ``progressive.json``. A run that has learned nothing yet is not
    evaluated."""

    calibrate: CalibrationMethod | None = None
    """How probabilities are calibrated, label by label, on the logits of the whole validation split: ``platt``, a line,
    which keeps every AUC but that of products; ``isotonic``, a rising curve, for thousands of positives; ``none``.
    Losses and training do not change: evaluate, predict and export use what the checkpoint keeps of it. None: platt
    where the data set has a validation split and is evaluated on it, otherwise none."""

    early_stopping: int | None = None
    """Patience: training ends after so many evaluations in a row that are not better than the best one before them. The
    checkpoint of the best one is kept, and is the one that evaluate, predict and export take. Evaluations are then of
    the whole split. None or 0: training makes all its steps, and its newest checkpoint counts."""

    early_stopping_metric: str | None = None
    """What is best: a task and a figure of its evaluation, ``auc`` or ``gauc`` (the highest), or ``log_loss`` (the
    lowest), such as ctr.log_loss. None: the AUC of the last task, ``ctcvr.auc`` for clicks and conversions."""

    gauc_field: str | None = None
    """Field whose ids are the users of GAUC. None: the first one-hot field of the users, such as user_id."""

    baseline: bool = True
    """Whether the evaluation at the end trains logistic regression on the same data too (seconds, on up to 250,000
    impressions), and says where the model is below it."""

    def __post_init__(self) -> None:
        for name in ("eval_every_steps", "eval_max_impressions", "early_stopping"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 0 or more.")
        figure = (self.early_stopping_metric or "ctcvr.auc").rpartition(".")[2]
        if figure not in FIGURES:
            raise ConfigError(
                f"early_stopping_metric is '{self.early_stopping_metric}'. Give a task and a figure, such as ctcvr.auc."
                f"{nearest_hint(figure, FIGURES)}"
            )

    @property
    def stopping(self) -> EarlyStopping | None:
        """Return when training ends early; None if it does not. Nothing may be open."""
        if not self.early_stopping:
            return None
        assert self.early_stopping_metric is not None
        assert self.eval_split is not None
        assert self.eval_every_steps
        return EarlyStopping(
            patience=self.early_stopping,
            metric=self.early_stopping_metric,
            split=self.eval_split,
            every_steps=self.eval_every_steps,
        )


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """When to save, and what to keep."""

    checkpoint_every_steps: int = 1000
    """Steps between checkpoints; there is always one at the end and at SIGTERM or SIGINT. 0: only those. 1000 steps
    are what a crash may cost: a few minutes on a laptop."""

    keep_checkpoints: int = 3
    """Newest checkpoints to keep, 1 or more. Three, so that one damaged file does not cost the run."""

    def __post_init__(self) -> None:
        if self.checkpoint_every_steps < 0:
            raise ConfigError(f"checkpoint_every_steps is {self.checkpoint_every_steps}. Set 0 or more.")
        if self.keep_checkpoints < 1:
            raise ConfigError(f"keep_checkpoints is {self.keep_checkpoints}. Keep at least 1.")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run."""

    data: Path
    """The data set: a folder that ``esmm preprocess`` wrote."""

    run: str
    """Folder of the run: settings, checkpoints, metrics, TensorBoard logs. A path, or a URI such as
    ``s3://bucket/run?region=eu-west-1``. Made if it is missing; if it holds a checkpoint, training resumes from it."""

    seed: int = 1
    """Decides the order of records, start values and dropout, 0 .. 2^31 - 1. The same seed gives the same model, bit
    for bit."""

    init_from: str | None = None
    """Another run, as RUN or RUN:STEP, whose weights this one starts from while it has no checkpoint of its own. Steps,
    the losses' log and the dense optimizer's state start from the beginning: Adam's moments belong to the other run's
    data. None: start
    from nothing."""

    init_what: Literal["all", "sparse"] = "all"
    """What init_from brings. ``all``: dense weights and rows; ``sparse``: rows only, for other towers. Rows come with
    their slot variables (an Adagrad row keeps its own rate) and counts; to evictions they are as new as the run."""

    continue_: bool = False
    """Go on with the run and its next data set, such as the log of the next day: rows, towers and the state of their
    optimizers are those that the data set before left, and steps are counted on. That one must be finished. A run
    without a checkpoint begins with this data set. The same command again resumes this data set, and does nothing once
    it is finished. Settings are those of the run; what training had chosen from the log is chosen anew."""

    again: bool = False
    """With continue: learn once more from a data set that the run has learned from before, which is refused
    otherwise."""

    max_steps: int | None = None
    """Stop after this many steps, counted from the first one of the data set. None: when all epochs are done."""

    schedule: Schedule = "constant"
    """Course of both learning rates after the warm-up: ``constant``; ``cosine``, half a cosine from the full rate to 0
    at the end of all epochs; ``inverse_sqrt``, the full rate times sqrt(warmup_steps / step). Constant, because all
    measured results were reached with it and the cool-down below."""

    warmup_steps: int = 0
    """First steps, in which both learning rates rise in a line to their full value. 0: none; Adagrad needs none."""

    cooldown: float | None = None
    """Share of all epochs' steps, at the end, in which both learning rates fall in a line to 0; 0 leaves them to the
    schedule. ``cosine`` falls to 0 by itself and ignores it. None: chosen from the log; 0.2 on a large one, which keeps
    the speed of the first steps and takes the noise of the last ones out of the model, 0.65 on a small one."""

    deterministic: bool = True
    """Make TensorFlow refuse or replace operations whose result depends on the timing of threads. On: on the CPU it
    costs nothing that could be measured."""

    log_every_steps: int = 20
    """Steps between points of the training loss, in TensorBoard and ``train_log.jsonl``."""

    input: InputConfig = field(default_factory=InputConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    dense: DenseOptimizerConfig = field(default_factory=DenseOptimizerConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    store: ClientConfig = field(default_factory=ClientConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    publishing: PublishConfig = field(default_factory=PublishConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        if self.again and not self.continue_:
            raise ConfigError(
                "again is set, which says that a run may go on with a data set that it has seen, and continue is not. "
                "Set continue too, or leave out again."
            )
        if self.max_steps is not None and self.max_steps < 1:
            raise ConfigError(f"max_steps is {self.max_steps}. Set 1 or more, or leave it out.")
        if self.warmup_steps < 0:
            raise ConfigError(f"warmup_steps is {self.warmup_steps}. Set 0 or more.")
        if self.cooldown is not None and not 0 <= self.cooldown <= 1:
            raise ConfigError(f"cooldown is {self.cooldown}. Set a share in [0, 1].")
        if self.log_every_steps < 1:
            raise ConfigError(f"log_every_steps is {self.log_every_steps}. Set 1 or more.")
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"seed is {self.seed}. Set 0 .. {2**31 - 1}.")

    @property
    def cooldown_share(self) -> float:
        """Return cooldown, or that of large logs if it is open."""
        return _COOLDOWN if self.cooldown is None else self.cooldown
