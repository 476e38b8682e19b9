"""Use one library and print the result as one JSON line: ``python -m launcher.doctor.probe tfra``.

Runs in a process of its own, because a wrongly built library may crash its process instead of raising.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from esmm_dist.process.quiet import horovod_library, import_horovod, import_tensorflow, import_tfra
from esmm_dist.ranks.gloo_device import INTERFACE, listen_on_interface


def probe_tfra() -> dict[str, Any]:
    """Insert two ids into a TFRA table and look up three."""
    tfra = import_tfra()
    tf = import_tensorflow()
    table = tfra.dynamic_embedding.CuckooHashTable(tf.int64, tf.int64, tf.constant([-1], tf.int64))
    table.insert(tf.constant([7, 2**62], tf.int64), tf.constant([[70], [71]], tf.int64))
    found = table.lookup(tf.constant([2**62, 5, 7], tf.int64)).numpy().ravel().tolist()
    return {"found": found, "gpus": gpus()}


def probe_horovod() -> dict[str, Any]:
    """Start Horovod with one rank, sum one tensor, and report what it was built with."""
    hvd = import_horovod()
    tf = import_tensorflow()
    os.environ[INTERFACE] = "lo"  # as the ranks of esmm local do: the machine's name need not resolve
    listen_on_interface(horovod_library())
    hvd.init()
    total = hvd.allreduce(tf.constant([1.0, 2.0]), op=hvd.Sum, name="probe").numpy().tolist()
    state = {"sum": total, "gloo": bool(hvd.gloo_built()), "nccl": bool(hvd.nccl_built()), "gpus": gpus()}
    hvd.shutdown()
    return state


def gpus() -> list[str]:
    """List the GPUs that TensorFlow can use."""
    return [device.name for device in import_tensorflow().config.list_physical_devices("GPU")]


PROBES: dict[str, Callable[[], dict[str, Any]]] = {"tfra": probe_tfra, "horovod": probe_horovod}

if __name__ == "__main__":
    print(json.dumps(PROBES[sys.argv[1]]()))
