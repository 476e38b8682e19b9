"""Training from disk against the peers on the same impressions, in the same batches and order, in one run.

    make bench-peers

Makes the peers' environment first (``environment.sh``). The peers' batches are ready in memory, and their ids are row
numbers already; ours are read from shards, and found in an index. The sides take turns, each time in a new process with
another seed of start values and order; medians of the rounds.
"""

import functools
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from esmm_dist.model.metrics.auc import exact_auc
from tests.benchmarks.figures import Figure, Paired, Scale, show
from tests.benchmarks.peers import WARM_STEPS
from tests.benchmarks.peers.export import export
from tests.benchmarks.reference_work import GROUP_SIZES, data_set

HERE = Path(__file__).parent
PEERS_PYTHON = Path(__file__).parents[3] / "build/peers/.venv/bin/python"
TARGETS = {8: 3.0, 64: 5.0}
ROUNDS, EPOCHS = 3, 2
LEAST_AUC_DIFFERENCE = -0.002
OURS, REPEATED, GROUPED = "ours", "FBGEMM", "FBGEMM, users once a group"


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one side has measured, a value a round."""

    rate: list[float] = field(default_factory=list)
    """Impressions a second"""
    core_rate: list[float] = field(default_factory=list)
    """Impressions a core-second"""
    auc: list[dict[str, float]] = field(default_factory=list)

    def add(self, result: dict[str, Any]) -> None:
        """Add what a training has printed."""
        self.rate.append(result["impressions"] / result["wall_s"])
        self.core_rate.append(result["impressions"] / result["cpu_s"])
        if "auc" in result:
            self.auc.append(result["auc"])


def figures(scale: Scale) -> Iterator[Figure]:
    """Yield each figure as soon as it is known."""
    if not PEERS_PYTHON.is_file():
        sys.exit(f"There is no {PEERS_PYTHON}: make it with sh tests/benchmarks/peers/environment.sh")
    for group_size in GROUP_SIZES:
        data = data_set(scale, group_size)
        sides = {name: Side() for name in (OURS, REPEATED, GROUPED)}
        for seed in range(1, scale.of(ROUNDS, 1) + 1):
            with tempfile.TemporaryDirectory() as temporary:
                exported = Path(temporary) / "export"
                export(data, exported, epochs=EPOCHS, seed=seed)
                one_round(sides, data, exported, seed)
                if seed == 1 and group_size == GROUP_SIZES[0]:
                    keras = Side()
                    keras.add(peer("train_keras.py", str(exported)))
        yield from speed(sides, group_size)
        if group_size == GROUP_SIZES[0]:
            yield from against_keras(sides[OURS], keras)
        yield from accuracy(sides, group_size)


def one_round(sides: dict[str, Side], data: Path, exported: Path, seed: int) -> None:
    """Train once on each side; odd rounds in the one order, even ones in the other."""
    runs = {
        OURS: functools.partial(ours, data, seed),
        REPEATED: functools.partial(fbgemm, exported, "repeated", seed),
        GROUPED: functools.partial(fbgemm, exported, "grouped", seed),
    }
    names = list(runs) if seed % 2 else list(reversed(runs))
    for name in names:
        sides[name].add(runs[name]())


def speed(sides: dict[str, Side], group_size: int) -> Iterator[Figure]:
    """Yield rates and ratios."""
    groups = f"groups of {group_size}"
    rates = Paired({name: side.rate for name, side in sides.items()})
    core_rates = Paired({name: side.core_rate for name, side in sides.items()})
    for name in sides:
        yield Figure(name=f"{name}, {groups}", value=rates.median(name), unit="impressions/s")
        value = core_rates.median(name)
        yield Figure(name=f"{name}, {groups}, a core-second", value=value, unit="impressions")
    for peer_name, target in ((REPEATED, TARGETS[group_size]), (GROUPED, None)):
        note = "theirs in memory, ours from disk" if target else "written by hand on its kernels"
        value = rates.ratio(OURS, peer_name)
        yield Figure(name=f"ours / {peer_name}, {groups}", value=value, unit="", target=target, note=note)
        value = core_rates.ratio(OURS, peer_name)
        yield Figure(name=f"ours / {peer_name}, {groups}, a core-second", value=value, unit="")


def against_keras(ours: Side, keras: Side) -> Iterator[Figure]:
    """Yield the comparison with plain Keras, of one short run."""
    yield Figure(name="Keras, the table an Embedding layer", value=keras.rate[0], unit="impressions/s")
    yield Figure(name="ours / Keras", value=statistics.median(ours.rate) / keras.rate[0], unit="")


def accuracy(sides: dict[str, Side], group_size: int) -> Iterator[Figure]:
    """Yield the differences of the AUCs, each the mean over the rounds."""
    for task in ("ctr", "ctcvr"):
        ours, theirs = (statistics.mean(auc[task] for auc in sides[name].auc) for name in (OURS, REPEATED))
        yield Figure(
            name=f"AUC {task.upper()}, ours - FBGEMM, groups of {group_size}",
            value=ours - theirs,
            unit="",
            target=LEAST_AUC_DIFFERENCE,
            note=f"{ours:.4f} and {theirs:.4f}, means of {len(sides[OURS].auc)} seeds",
        )


def ours(data: Path, seed: int) -> dict[str, Any]:
    """Train from disk with our own code."""
    module = "tests.benchmarks.peers.train_ours"
    return _result([sys.executable, "-m", module, str(data), "--epochs", str(EPOCHS), "--seed", str(seed)])


def fbgemm(exported: Path, form: str, seed: int) -> dict[str, Any]:
    """Train with TorchRec's kernels, and score the test split."""
    scores = exported / f"scores-{form}.npz"
    flags = ["--form", form, "--seed", str(seed), "--scores", str(scores), "--warm-steps", str(WARM_STEPS)]
    return {**peer("train_fbgemm.py", str(exported), *flags), "auc": aucs(scores)}


def peer(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script in the peers' environment."""
    return _result([str(PEERS_PYTHON), str(HERE / script), *arguments])


def aucs(scores: Path) -> dict[str, float]:
    """Return the AUCs of logits of click and of conversion given click."""
    with np.load(scores) as file:
        logits, labels = file["logits"].astype(np.float64), file["labels"]
    log_p = -np.logaddexp(0, -logits)
    return {"ctr": exact_auc(log_p[:, 0], labels[:, 0]), "ctcvr": exact_auc(log_p.sum(axis=1), labels[:, 1])}


def _result(line: Sequence[str]) -> dict[str, Any]:
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(line)} ended with status {done.returncode}:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    show(__doc__, figures)
