"""The settings of ``esmm plan``."""

import math
from dataclasses import dataclass
from pathlib import Path

from esmm_dist.embedding.optimizers import OptimizerName
from esmm_dist.errors import ConfigError
from esmm_dist.model.objectives.config import ObjectiveName
from esmm_dist.parameter_server.config import UpdateMode, Wire

_LARGEST_CLUSTER = 4096


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """Say how large a training must be, how long it takes and what limits it; nothing is started."""

    data: Path | None = None
    """Data set whose log, fields and ids are planned for: a folder that esmm preprocess wrote. None: impressions and
    ids say how large the log is."""

    impressions: int | None = None
    """Train impressions of one pass. None: those of data."""

    ids: int | None = None
    """Different feature ids, which are the rows of the table at the end. None: those of data."""

    dim: int = 16
    """Columns of a row that a network sees (--embedding-dim of esmm train). They are all of a row's, unless networks
    share no embeddings."""

    workers: int | None = None
    """Worker processes. None: the suggested number."""

    servers: int | None = None
    """Parameter servers. 0: the table lives within the only worker. None: the suggested number."""

    network_gbps: float = 10.0
    """Bandwidth of the link of each worker and server, each way, in 1e9 bits a second."""

    network_ms: float = 0.2
    """Round trip between two of them, ms. 0.2 within a rack or zone; 0.05 on one machine."""

    worker_cores: float = 4.0
    """Cores of each worker. More than four help the towers alone."""

    server_cores: float = 2.0
    """Cores of each server."""

    shared_cores: float | None = None
    """Cores that all workers and servers share, where one machine runs them all (esmm local). None: each has its
    own."""

    server_memory_gb: float = 32.0
    """Memory of each server (with servers 0: of the worker), GB. It decides the least number of servers."""

    hours: float | None = None
    """Hours that the training may take: the suggestion is the one with the fewest cores that meets them. None: the
    fastest one whose cores do at least 70% of what they do at best."""

    epochs: int = 1
    """Passes over the impressions."""

    batch_impressions: float = 4096.0
    """Impressions of a step over all workers. Set 512 records of 8 as training does on a large log."""

    group_size: float | None = None
    """Impressions of a record, on average. None: those of data, else 8."""

    ids_per_user: float | None = None
    """Ids of the fields that belong to the user, on average. None: those of data, else 610, as in Ali-CCP."""

    ids_per_impression: float | None = None
    """Ids of an impression's own fields, on average. None: those of data, else 12, as in Ali-CCP."""

    fields: int | None = None
    """Fields of the schema. None: those of data, else 23, as in Ali-CCP."""

    labels: int | None = None
    """Labels, each with a tower. None: those of data, else 2: click and conversion."""

    hidden_units: tuple[int, ...] = (256, 128)
    """Widths of the hidden layers of each tower."""

    objective: ObjectiveName = "esmm"
    """What the model minimises (esmm train --help): decides the number of towers, and share_embeddings."""

    share_embeddings: bool | None = None
    """Whether all towers read the same columns of a row. false: a row has dim columns for each. None: as the objective
    has it, true for esmm and false for base."""

    optimizer: OptimizerName = "adagrad"
    """Optimizer of the rows (--embedding-optimizer of esmm train): decides the slot variables of a row."""

    update_mode: UpdateMode = "sync"
    """When gradients change the rows (esmm train --help)."""

    wire: Wire = "float32"
    """How rows and gradients travel."""

    constants: Path | None = None
    """File with what things cost on your machine, which tests/benchmarks/plan_constants.py writes. None: the constants
    that came with this version, measured on 2 cores of an AMD EPYC."""

    def __post_init__(self) -> None:
        if self.data is None:
            missing = [name for name in ("impressions", "ids") if getattr(self, name) is None]
            if missing:
                flags = " and ".join(f"--{name}" for name in missing)
                raise ConfigError(
                    f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, so the log's size is "
                    f"unknown. Give {flags}, or --data DATA."
                )
        at_least = {"impressions": 1, "ids": 1, "dim": 1, "workers": 1, "servers": 0, "epochs": 1}
        at_least |= {"fields": 1, "labels": 1}
        for name, least in at_least.items():
            if (value := getattr(self, name)) is not None and value < least:
                raise ConfigError(f"{name} is {value}. Set {least} or more.")
        for name in ("network_gbps", "worker_cores", "server_cores", "shared_cores", "server_memory_gb", "hours"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} is {value}. Set a positive number.")
        for name in ("network_ms", "ids_per_user", "ids_per_impression"):
            if (value := getattr(self, name)) is not None and not 0 <= value < math.inf:
                raise ConfigError(f"{name} is {value}. Set a number of 0 or more.")
        for name in ("group_size", "batch_impressions"):
            if (value := getattr(self, name)) is not None and not 1 <= value < math.inf:
                raise ConfigError(f"{name} is {value}. Set 1 or more.")
        if any(units < 1 for units in self.hidden_units):
            raise ConfigError(f"hidden_units is {list(self.hidden_units)}. Every layer needs at least 1 unit.")
        self._check_cluster()

    def _check_cluster(self) -> None:
        for name in ("workers", "servers"):
            if (value := getattr(self, name)) is not None and value > _LARGEST_CLUSTER:
                raise ConfigError(f"{name} is {value}. A run has {_LARGEST_CLUSTER} at the most.")
        if self.servers == 0 and (self.workers or 1) > 1:
            raise ConfigError(
                f"servers is 0 and workers is {self.workers}: a table within a worker belongs to it alone. Set "
                "--servers 1 or more, or --workers 1."
            )
