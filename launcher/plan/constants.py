"""The constants of the model: what an id, an impression, a byte and a call cost, as measured on some machine."""

from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

from esmm_dist.config import build
from esmm_dist.errors import ConfigError
from esmm_dist.yaml_text import read_yaml


@dataclass(frozen=True, kw_only=True)
class PlanConstants:
    """What things cost. Times of work are CPU time of one core.

    ``tests/benchmarks/plan_constants.py`` measures them, but for ``call_round_trips``, ``window_mb`` (from calls over a
    delayed link), ``allreduce_round_trips``, ``wire_overhead`` (estimates) and ``pull_ahead`` (how the program works).
    """

    measured_on: str
    """Processor, and versions of the software."""

    measured_by: str
    """Command that measured them."""

    read_us_per_record: float
    """Read, decompress and parse one record: its fixed part, µs."""

    read_us_per_impression: float
    """The same, for each impression in it, µs."""

    read_ns_per_id: float
    """The same, for each id in it, ns."""

    lookup_ns_per_id: float
    """Find the unique ids of a batch and build its pooling matrix, for each id, ns."""

    pool_ns_per_value: float
    """Pool the rows of a batch and their gradients back, for each id and column, ns."""

    tower_gflops: float
    """Speed of one core in the towers, forward, backward and optimizer, 1e9 operations a second."""

    step_us_per_impression: float
    """What else a step costs for each impression (losses, flags, sums), µs."""

    step_ms: float
    """What else a step costs whatever its size, ms."""

    embedded_pull_ns_per_id: float
    """Pull from the table within the worker, for each unique id, ns."""

    embedded_pull_ns_per_value: float
    """The same, for each of its columns, ns."""

    embedded_push_ns_per_id: float
    """Push to the table within the worker, for each unique id, ns."""

    embedded_push_ns_per_value: float
    """The same, for each of its columns, ns."""

    client_pull_ns_per_id: float
    """Pull from servers, the worker's part, for each unique id, ns."""

    client_pull_ns_per_value: float
    """The same, for each of its columns, ns."""

    client_push_ns_per_id: float
    """Push to servers, the worker's part, for each unique id, ns."""

    client_push_ns_per_value: float
    """The same, for each of its columns, ns."""

    client_call_ms: float
    """A pull or push to one server, the worker's part, whatever its size, ms."""

    server_pull_ns_per_id: float
    """Answer a pull, for each id, ns."""

    server_pull_ns_per_value: float
    """The same, for each of its columns, ns."""

    server_push_ns_per_id: float
    """Receive and apply a push, for each id, ns."""

    server_push_ns_per_value: float
    """The same, for each of its columns, ns."""

    server_call_ms: float
    """A pull or push, the server's part, whatever its size, ms."""

    call_wait_ms: float
    """Time of an empty call on one machine beyond the work of both sides: threads that wake up, ms."""

    call_round_trips: float
    """Round trips of the network that a pull or push takes, however small."""

    window_mb: float
    """MB that a connection has on the way at most: so much it carries in a round trip."""

    allreduce_ms: float
    """Time of a small allreduce of two ranks on one machine, ms."""

    allreduce_busy_cores: float
    """Cores that Horovod's own thread takes of each rank, all the time, where there are several: it asks the other
    ranks every millisecond what they are ready to add up."""

    allreduce_ns_per_byte: float
    """Work of each rank for each byte of the dense gradients, ns."""

    allreduce_round_trips: float
    """Round trips of the network that an allreduce of two ranks takes; each further rank adds two half ones."""

    wire_overhead: float
    """Bytes on the network for each byte of ids, rows and gradients."""

    pull_ahead: float
    """Share of the rows that a step leaves alone which are pulled while it runs, in sync, 0 .. 1: 0 where each step
    pulls all of its rows itself."""

    contention: float
    """How much of the work that could overlap does not, where cores are shared, 0 .. 1."""

    save_ns_per_byte: float
    """Write a checkpoint, for each byte of rows, ns of one server."""

    restore_ns_per_byte: float
    """Read one, ns."""

    start_s: float
    """From the command to the first step, s."""

    worker_base_mb: float
    """Memory of a worker with an empty table, MB."""

    worker_bytes_per_id: float
    """Memory of a worker for each id of a batch, with those that wait and those in work, bytes."""

    server_base_mb: float
    """Memory of a server with an empty table, MB."""

    index_bytes_per_row: float
    """Memory of the hash table and of free space beside the rows, for each row, bytes."""

    server_bytes_per_pushed_value: float
    """Memory of a server for each value of the pushes of a step, bytes: as received, summed, and kept for an undo."""

    disk_bytes_per_id: float
    """A data set on disk, for each id in its records, bytes."""

    id_skew: float
    """Exponent s of the frequencies of ids, f ∝ rank^-s, where no data set is given."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not 0 <= value < float("inf"):
                raise ConfigError(
                    f"{field.name} is {value}. Set a number of 0 or more, or measure it: python -m "
                    "tests.benchmarks.plan_constants"
                )
        for name in ("tower_gflops", "window_mb"):
            if getattr(self, name) == 0:
                raise ConfigError(f"{name} is 0, so that no step would end. Set a positive number.")


def read_constants(path: Path | None) -> PlanConstants:
    """Return the constants of a file (YAML or JSON); None: those that were measured with this version.

    Raises:
        ConfigError: The file cannot be read, or a constant is missing, unknown or no number.
    """
    if path is None:
        path = Path(str(resources.files("launcher.plan"))) / "constants.yaml"
    return build(PlanConstants, read_yaml(path), where=str(path))
