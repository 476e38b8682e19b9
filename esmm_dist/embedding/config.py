"""Settings of the embedding tables."""

from dataclasses import dataclass, field

from esmm_dist.embedding.optimizers import Adagrad, Adam, OptimizerName, RowOptimizer, RowwiseAdagrad, Sgd
from esmm_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class EmbeddingConfig:
    """How rows start and learn; the same for all tables of a run."""

    embedding_dim: int = 16
    """D, columns of a row. 16 is the usual size for Ali-CCP (the ESMM paper uses 18)."""

    embedding_dim_by_table: dict[str, int] = field(default_factory=dict)
    """Another D for single tables of the schema: ``{table: D}``. Empty: embedding_dim for all."""

    embedding_optimizer: OptimizerName = "adagrad"
    """``adagrad``, ``rowwise_adagrad`` (one accumulator a row), ``adam`` or ``sgd``. Adagrad suits rows that are seen
    seldom: each keeps its own rate."""

    embedding_learning_rate: float = 0.05
    """Step size of the row optimizer, a positive number."""

    embedding_l2: float = 0.0
    """L2 penalty l: adds l · w to the gradient of each row that a step looks up, once a step. Other rows are left
    alone: a penalty on the whole table would touch millions of rows a step."""

    start_scale: float = 0.01
    """An unseen row is uniform in [-start_scale, start_scale). Small, so that an unseen id says almost nothing."""

    start_accumulator: float = 0.1
    """Start value of the Adagrad accumulators. 0.1 is TensorFlow's."""

    embedding_momentum: float = 0.0
    """Momentum of ``sgd``, in [0, 1). 0 keeps no slot variable."""

    adam_beta_1: float = 0.9
    """Decay rate of Adam's first moment, in [0, 1)."""

    adam_beta_2: float = 0.999
    """Decay rate of Adam's second moment, in [0, 1)."""

    def __post_init__(self) -> None:
        for name, dim in {"embedding_dim": self.embedding_dim, **self.embedding_dim_by_table}.items():
            if dim < 1:
                raise ConfigError(f"{name} is {dim}. An embedding row needs at least 1 column.")
        if self.embedding_learning_rate <= 0:
            raise ConfigError(f"embedding_learning_rate is {self.embedding_learning_rate}. Set a positive number.")
        for name in ("embedding_l2", "start_scale", "start_accumulator"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 0 or more.")
        for name in ("embedding_momentum", "adam_beta_1", "adam_beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set a number in [0, 1).")

    def dim_of(self, table: str) -> int:
        """Return D of a table."""
        return self.embedding_dim_by_table.get(table, self.embedding_dim)

    def make_optimizer(self) -> RowOptimizer:
        """Return the row optimizer that these settings name."""
        if self.embedding_optimizer == "adagrad":
            return Adagrad(start_accumulator=self.start_accumulator)
        if self.embedding_optimizer == "rowwise_adagrad":
            return RowwiseAdagrad(start_accumulator=self.start_accumulator)
        if self.embedding_optimizer == "adam":
            return Adam(beta_1=self.adam_beta_1, beta_2=self.adam_beta_2)
        return Sgd(momentum=self.embedding_momentum)
