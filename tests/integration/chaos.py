"""``make chaos``: a long training under random faults, compared with an undisturbed one. Run it by hand.

    python -m tests.integration.chaos --steps 8000 --faults 30 --seed 1

Everything that a training consists of is killed, stopped and ended, at moments drawn from a seed. Printed are the
schedule, the time that each recovery took, the work that was lost, and how far the models are apart in the end.
"""

import argparse
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from esmm_dist.checkpoint.format import checkpoint_steps
from esmm_dist.storage.folder import Folder
from tests.support.elastic_run import ESMM, ElasticRun, elastic_run
from tests.support.faults import During, Fault, How, Injected, Injector, Target
from tests.support.saved_models import largest_difference, saved_arrays
from tests.support.tiny_dataset import tiny_groups, write_dataset

RANKS, SERVERS = 3, 2
EVERY = 50
BOUND = 1e-5

WEIGHTED: list[tuple[Target, How, int]] = [
    ("worker", "kill -9", 5),
    ("worker", "SIGTERM", 3),
    ("worker", "SIGSTOP", 2),
    ("worker", "SIGSTOP+CONT", 2),
    ("rank 0", "kill -9", 4),
    ("rank 0", "SIGTERM", 2),
    ("rank 0", "SIGSTOP", 1),
    ("agent", "kill -9", 2),
    ("server", "kill -9", 3),
    ("server", "SIGTERM", 1),
    ("server", "SIGSTOP+CONT", 2),
    ("driver", "kill -9", 2),
    ("driver", "SIGTERM", 1),
    ("driver", "SIGSTOP+CONT", 1),
]


def schedule(seed: int, faults: int, steps: int) -> list[tuple[int, Fault | str]]:
    """Return what happens from which step on; with it changes of the number of workers, and the loss of everything."""
    rng = random.Random(seed)
    kinds = [(target, how) for target, how, weight in WEIGHTED for _ in range(weight)]
    moments: list[During] = ["step", "step", "step", "save", "join"]
    drawn: list[Fault | str] = []
    for _ in range(faults):
        target, how = rng.choice(kinds)
        drawn.append(Fault(target=target, how=how, during=rng.choice(moments), index=rng.randrange(2)))
    for extra in ("everything kill -9", "scale to 2", "scale to 3"):
        drawn.insert(rng.randrange(faults // 3, len(drawn)), extra)
    if drawn.index("scale to 3") < drawn.index("scale to 2"):
        i, j = drawn.index("scale to 3"), drawn.index("scale to 2")
        drawn[i], drawn[j] = drawn[j], drawn[i]
    return [(10 + number * steps // (len(drawn) + 1), each) for number, each in enumerate(drawn)]


def training(data: Path, run: Path, steps: int) -> list[str]:
    """Return the line of the training, the same with and without faults."""
    return [
        *("train", "--data", str(data), "--run", str(run), "--global-batch-records", "64", "--seed", "5"),
        *("--epochs", str(-(-steps // 20)), "--max-steps", str(steps), "--eval-every-steps", "0"),
        *("--checkpoint-every-steps", str(EVERY), "--keep-checkpoints", "1000"),
        # Linear towers: next to the kink of a ReLU, differences of one bit become large by themselves
        *("--embedding-dim", "8", "--hidden-units"),
    ]


def local_line(data: Path, run: Path, steps: int) -> list[str]:
    """Return the line of ``esmm local``."""
    return [
        *("--workers", str(RANKS), "--min-workers", "1", "--max-workers", "4", "--servers", str(SERVERS)),
        *("--standby", "--stall-seconds", "6", "--grace-seconds", "20", "--"),
        *training(data, run, steps),
    ]


def disturb(data: Path, folder: Path, args: argparse.Namespace) -> list[Injected]:
    """Train under faults; return what happened."""
    line, found = local_line(data, folder / "run", args.steps), []
    plan = schedule(args.seed, args.faults, args.steps)
    print(f"{len(plan)} faults, seed {args.seed}:", flush=True)
    ended = False
    while not ended:
        with elastic_run(folder / "run", line, log=folder / "log") as run:
            injector = Injector(run, ranks=RANKS, timeout_s=180)
            while plan:
                at_step, fault = plan[0]
                run.wait_for_ranks(injector.ranks, 180)
                run.wait_for_step(at_step, 300)
                plan.pop(0)
                if fault == "everything kill -9":
                    found.append(lose_everything(run))
                    show(found[-1])
                    break
                found.append(injector.scale(int(fault[-1])) if isinstance(fault, str) else injector.inject(fault))
                show(found[-1])
            else:
                ended = True
                status = run.wait_for_end(1200)
                if status != 0:
                    sys.exit(f"esmm local ended with {status}:\n{run.tail()}")
            if left := run.left_over():
                sys.exit(f"left behind: {left}")
    return found


def lose_everything(run: ElasticRun) -> Injected:
    """Kill all processes at once; the same command goes on."""
    at_step = run.status().step
    processes = run.processes()
    run.send_self(signal.SIGKILL)
    for process in processes.values():
        if process.is_running():
            process.kill()
    run.wait_for_end(30)
    return Injected(
        fault="everything kill -9", victim="all", at_step=at_step, recovery_s=0.0, whole_s=0.0, lost_steps=0
    )


def show(injected: Injected) -> None:
    """Print one line about a fault."""
    print(
        f"  step {injected.at_step:5,}  {injected.fault:34} {injected.victim:14} {injected.recovery_s:5.1f} s to step, "
        f"{injected.whole_s:5.1f} s to all ranks, {injected.lost_steps} steps made again",
        flush=True,
    )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep runs and logs in this folder")
    args = parser.parse_args()
    folder = args.keep or Path(tempfile.mkdtemp(prefix="esmm-chaos-"))
    data = folder / "data"
    data.mkdir(parents=True)
    write_dataset(data, {"train": tiny_groups(1280), "test": tiny_groups(101, seed=2, first_sample=5000)})
    start = time.monotonic()
    found = disturb(data, folder, args)
    took = time.monotonic() - start
    undisturbed = folder / "undisturbed"
    subprocess.run([*ESMM, *training(data, undisturbed, args.steps)], check=True, stdout=subprocess.DEVNULL)
    steps = checkpoint_steps(Folder.open(undisturbed))
    differences = {
        step: largest_difference(saved_arrays(folder / "run", step), saved_arrays(undisturbed, step)) for step in steps
    }
    recoveries = [each.recovery_s for each in found if each.recovery_s > 0]
    print(f"{len(found)} faults in {took:.0f} s, {args.steps:,} steps, {RANKS} ranks, {SERVERS} servers")
    print(f"recovery: median {statistics.median(recoveries):.1f} s, worst {max(recoveries):.1f} s")
    print(f"steps made again: {sum(each.lost_steps for each in found):,}")
    print(f"{len(steps)} checkpoints compared with an undisturbed run of one process: largest difference")
    worst = max(differences, key=differences.__getitem__)
    print(f"  {differences[worst]:.1e} of an array's largest number (step {worst:,})")
    if args.keep is None:
        shutil.rmtree(folder)
    if differences[worst] >= BOUND:
        sys.exit(f"more than {BOUND:g}: the models differ")


if __name__ == "__main__":
    main()
