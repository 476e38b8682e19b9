"""Memory of the processes, size and time of a checkpoint, and disk."""

from dataclasses import dataclass

from launcher.plan.constants import PlanConstants
from launcher.plan.step_time import Cluster
from launcher.plan.workload import Workload

_FLOAT_BYTES = 4
_META_BYTES = 8  # last step and count of a row, int32 each
_ID_BYTES = 8
_STORED_META_BYTES = 16  # the same in a checkpoint, int64 each
_KEPT_CHECKPOINTS = 3  # checkpoint.keep_checkpoints, and one that is being written
_MB = 1e6


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes and seconds beside the steps."""

    table_bytes: float
    """Rows, slot variables, ids and hash tables, over all servers"""
    server_bytes: float
    """Memory of one server; 0 if the table is embedded"""
    worker_bytes: float
    """Memory of one worker"""
    checkpoint_bytes: float
    """One checkpoint"""
    save_s: float
    """Work of writing it, of one server, s"""
    restore_s: float
    """Work of reading it, s"""
    run_disk_bytes: float
    """Checkpoints that are kept, and one that is being written"""
    data_disk_bytes: float
    """The data set's train split"""


def sizes(workload: Workload, cluster: Cluster, constants: PlanConstants) -> Sizes:
    """Return the sizes of a training."""
    holders = max(cluster.servers, 1)
    columns = workload.dim + workload.slot_columns
    row_bytes = _FLOAT_BYTES * columns + _META_BYTES + _ID_BYTES
    table_bytes = workload.ids * (row_bytes + constants.index_bytes_per_row)
    share = workload.share(cluster.workers)
    pushed = workload.dim * share.unique_ids * cluster.workers / holders * constants.server_bytes_per_pushed_value
    table = table_bytes / holders
    batch = share.ids * constants.worker_bytes_per_id
    checkpoint = workload.ids * (_FLOAT_BYTES * columns + _ID_BYTES + _STORED_META_BYTES)
    embedded = cluster.servers == 0
    return Sizes(
        table_bytes=table_bytes,
        server_bytes=0.0 if embedded else constants.server_base_mb * _MB + table + pushed,
        worker_bytes=constants.worker_base_mb * _MB + batch + (table + pushed if embedded else 0.0),
        checkpoint_bytes=checkpoint,
        save_s=checkpoint / holders * constants.save_ns_per_byte * 1e-9,
        restore_s=checkpoint / holders * constants.restore_ns_per_byte * 1e-9,
        run_disk_bytes=(_KEPT_CHECKPOINTS + 1) * checkpoint,
        data_disk_bytes=workload.impressions
        / workload.group_size
        * workload.ids_per_record
        * constants.disk_bytes_per_id,
    )
