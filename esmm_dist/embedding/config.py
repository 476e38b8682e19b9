"""Settings of the embedding tables."""

from dataclasses import dataclass, field

from esmm_dist.embedding.admission import MOST_COUNTED_IMPRESSIONS, OccurrenceThreshold
from esmm_dist.embedding.eviction import EvictionPlan, MinimumCount, RowBudget, TimeToLive
from esmm_dist.embedding.optimizers import Adagrad, Adam, Ftrl, OptimizerName, RowOptimizer, RowwiseAdagrad, Sgd
from esmm_dist.errors import ConfigError

_LEARNING_RATE = 0.05
_START_SCALE = 0.01
_START_ACCUMULATOR = 0.1  # TensorFlow's

_OF_ONE_OPTIMIZER = {
    "embedding_momentum": "sgd",
    "adam_beta_1": "adam",
    "adam_beta_2": "adam",
    "ftrl_l1": "ftrl",
    "ftrl_l2": "ftrl",
}
"""Settings that all other optimizers would ignore; ``start_accumulator``, which three use, is none of them."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingConfig:
    """How rows start and learn; the same for all tables of a run."""

    embedding_dim: int = 16
    """D, columns of a row. 16 is the usual size for Ali-CCP (the ESMM paper uses 18)."""

    embedding_dim_by_table: dict[str, int] = field(default_factory=dict)
    """Another D for single tables of the schema: ``{table: D}``. Empty: embedding_dim for all."""

    row_slices: int = 1
    """Slices of embedding_dim columns in a row, one for each network of a model whose networks share no embeddings.
    Training sets it, by objective and share_embeddings."""

    embedding_optimizer: OptimizerName = "adagrad"
    """``adagrad``, ``rowwise_adagrad`` (one accumulator a row), ``adam``, ``sgd`` or ``ftrl``. Adagrad suits rows that
    are seen seldom: each keeps its own rate."""

    embedding_learning_rate: float | None = None
    """Step size of the row optimizer, a positive number. None: chosen from the log, 0.05 on a large one."""

    embedding_l2: float = 0.0
    """L2 penalty l: adds l · w to the gradient of each row that a step looks up, once a step. Other rows are left
    alone: a penalty on the whole table would touch millions of rows a step."""

    start_scale: float | None = None
    """An unseen row is uniform in [-start_scale, start_scale). Small, so that an unseen id says almost nothing. None:
    chosen from the log, 0.01 on a large one, less where linear_scale multiplies it."""

    start_accumulator: float | None = None
    """Start value of the accumulators of Adagrad and FTRL; the others have none. None: chosen from the log, 0.1
    (TensorFlow's) on a large one, less where linear_scale multiplies the gradients."""

    embedding_momentum: float = 0.0
    """Momentum of ``sgd``, in [0, 1). 0 keeps no slot variable."""

    adam_beta_1: float = 0.9
    """Decay rate of Adam's first moment, in [0, 1)."""

    adam_beta_2: float = 0.999
    """Decay rate of Adam's second moment, in [0, 1)."""

    ftrl_l1: float = 0.0
    """L1 penalty of ``ftrl``: columns that it holds at 0 stay exactly 0."""

    ftrl_l2: float = 0.0
    """L2 penalty of ``ftrl``."""

    admit_after: int = 1
    """Impressions that must have held an id before it gets a row, counted exactly. Until then it reads its start value
    and learns nothing. 1: every id at once, because preprocess has dropped the rare ones already."""

    evict_every_steps: int = 0
    """Steps between evictions by the three settings below. 0: never."""

    ttl_steps: int = 0
    """An eviction removes the rows that no step has changed for this long, and the counts of ids that wait for
    admit_after and that no step has held for this long. 0: none for their age."""

    min_row_count: int = 0
    """An eviction removes the rows that fewer steps than this have changed, unless one of the last evict_every_steps
    did: a new row has that long to prove itself. Ids that wait for admit_after have been changed by no step, so that
    those that none of the last evict_every_steps has held lose their counts. 0: none for their count."""

    max_rows: int = 0
    """An eviction leaves at most this many rows in a table, over all servers: the least recently changed go first. Ids
    that wait for admit_after are no rows; those that were last held before the step of the oldest row that is left lose
    their counts where rows must go. Only ttl_steps and min_row_count bound their number. 0: no limit."""

    def __post_init__(self) -> None:
        for name, dim in {"embedding_dim": self.embedding_dim, **self.embedding_dim_by_table}.items():
            if dim < 1:
                raise ConfigError(f"{name} is {dim}. An embedding row needs at least 1 column.")
        if self.row_slices < 1:
            raise ConfigError(f"row_slices is {self.row_slices}. Leave it out: training sets it by share_embeddings.")
        if self.row_slices > 1 and self.embedding_optimizer == "rowwise_adagrad":
            raise ConfigError(
                "embedding_optimizer is rowwise_adagrad, but the networks share no embeddings (share_embeddings), and "
                "through its one accumulator a row they would share their step sizes. Set embedding_optimizer to "
                "adagrad, or share_embeddings to true."
            )
        if self.embedding_learning_rate is not None and self.embedding_learning_rate <= 0:
            raise ConfigError(f"embedding_learning_rate is {self.embedding_learning_rate}. Set a positive number.")
        for name in ("embedding_l2", "start_scale", "start_accumulator", "ftrl_l1", "ftrl_l2"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"{name} is {value}. Set 0 or more.")
        for name in ("embedding_momentum", "adam_beta_1", "adam_beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set a number in [0, 1).")
        if self.admit_after < 1:
            raise ConfigError(f"admit_after is {self.admit_after}. Set 1 (every id at once) or more impressions.")
        if self.admit_after > MOST_COUNTED_IMPRESSIONS:
            raise ConfigError(f"admit_after is {self.admit_after}. Set {MOST_COUNTED_IMPRESSIONS} or less.")
        limits = ("ttl_steps", "min_row_count", "max_rows")
        for name in ("evict_every_steps", *limits):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}. Set 0 or more.")
        wanted = [name for name in limits if getattr(self, name)]
        if bool(wanted) != bool(self.evict_every_steps):
            raise ConfigError(
                f"evict_every_steps is {self.evict_every_steps} and {' and '.join(wanted) or 'no limit'} is set. An "
                f"eviction needs a period and a limit: set evict_every_steps and one of {', '.join(limits)}, or none."
            )
        for name, optimizer in _OF_ONE_OPTIMIZER.items():
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) != default and self.embedding_optimizer != optimizer:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}, which {optimizer} alone uses, and embedding_optimizer is "
                    f"{self.embedding_optimizer}. Set {name} to {default}, or embedding_optimizer to {optimizer}."
                )
        if self.embedding_optimizer == "ftrl" and self.start_accumulator == 0 and self.ftrl_l2 == 0:
            raise ConfigError("start_accumulator is 0, by which ftrl would divide. Set a positive number, such as 0.1.")

    def dim_of(self, table: str) -> int:
        """Return D of a table: the columns of a row, in all slices."""
        return self.slice_dim_of(table) * self.row_slices

    def slice_dim_of(self, table: str) -> int:
        """Return the columns of a slice of a table's rows: embedding_dim, or what is set for the table."""
        return self.embedding_dim_by_table.get(table, self.embedding_dim)

    @property
    def learning_rate(self) -> float:
        """Return embedding_learning_rate, or that of large logs if it is open."""
        return _LEARNING_RATE if self.embedding_learning_rate is None else self.embedding_learning_rate

    @property
    def start_range(self) -> float:
        """Return start_scale, or that of large logs if it is open."""
        return _START_SCALE if self.start_scale is None else self.start_scale

    @property
    def first_accumulator(self) -> float:
        """Return start_accumulator, or that of large logs if it is open."""
        return _START_ACCUMULATOR if self.start_accumulator is None else self.start_accumulator

    def make_optimizer(self) -> RowOptimizer:
        """Return the row optimizer that these settings name."""
        if self.embedding_optimizer == "adagrad":
            return Adagrad(start_accumulator=self.first_accumulator)
        if self.embedding_optimizer == "rowwise_adagrad":
            return RowwiseAdagrad(start_accumulator=self.first_accumulator)
        if self.embedding_optimizer == "adam":
            return Adam(beta_1=self.adam_beta_1, beta_2=self.adam_beta_2)
        if self.embedding_optimizer == "ftrl":
            return Ftrl(start_accumulator=self.first_accumulator, l1=self.ftrl_l1, l2=self.ftrl_l2)
        return Sgd(momentum=self.embedding_momentum)

    def make_admission(self) -> OccurrenceThreshold:
        """Return the policy that decides when an id gets a row."""
        return OccurrenceThreshold(impressions=self.admit_after)

    def make_eviction(self) -> EvictionPlan:
        """Return the policies that decide which rows go; empty if none do."""
        return EvictionPlan(
            time_to_live=TimeToLive(ttl_steps=self.ttl_steps) if self.ttl_steps else None,
            minimum_count=MinimumCount(min_count=self.min_row_count, grace_steps=self.evict_every_steps)
            if self.min_row_count
            else None,
            row_budget=RowBudget(max_rows=self.max_rows) if self.max_rows else None,
        )
