"""What the tests of ``HorovodWorld`` run on every rank: ``world_program.py agree`` or ``world_program.py lose``."""

import json
import os
import signal
import sys

import numpy as np

from esmm_dist.errors import CheckpointError, EsmmError, WorkerLostError
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.ranks.open_world import open_world
from esmm_dist.ranks.world import World


def agree(world: World) -> dict[str, object]:
    """Use every method once, the failures too."""
    tf = import_tensorflow()
    rank = world.rank
    found: dict[str, object] = {"rank": rank, "size": world.size, "local_rank": world.local_rank}
    found["shared"] = world.share({"rank": rank, "text": "Zahl ½", "nothing": None, "pair": (1, 2)})
    found["empty"] = world.share("")
    found["on_root"] = world.on_root(lambda: {"done by": rank})
    try:
        world.on_root(_fail)
    except EsmmError as e:
        found["failure"] = [type(e).__name__, str(e)]
    # rank r gives r rows: rank 0 none at all
    found["gathered"] = world.gather(np.full((rank, 3), rank, dtype=np.uint8)).tolist()
    found["gathered_nothing"] = list(world.gather(np.empty((0, 7), dtype=np.uint8)).shape)
    variables = [tf.Variable([1.0 + rank, 2.0]), tf.Variable(7 + rank, dtype=tf.int64)]
    world.broadcast_variables(variables)
    found["variables"] = [variable.numpy().tolist() for variable in variables]
    summed = tf.function(lambda x: world.sum_in_step(x) * 2.0, autograph=False)
    found["sums"] = [summed(tf.constant([1.0, float(rank + step)])).numpy().tolist() for step in range(2)]
    world.barrier()
    return found


def lose(world: World) -> None:
    """Rank 1 is killed; what do the others say?"""
    tf = import_tensorflow()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # by which horovodrun ends those that are left
    world.barrier()
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    summed = tf.function(world.sum_in_step, autograph=False)
    for collective in (lambda: summed(tf.ones([3])), lambda: world.share(1), world.barrier):
        try:
            with world.watching():
                collective()
        except WorkerLostError as e:
            print(e, flush=True)


def _fail() -> None:
    raise CheckpointError("file x is damaged")


if __name__ == "__main__":
    opened = open_world()
    if sys.argv[1] == "agree":
        print(json.dumps(agree(opened)))
    else:
        lose(opened)
