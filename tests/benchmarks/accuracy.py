"""Accuracy that speed must not cost: AUCs of trainings by the product's commands, compared with another version's.

    python -m tests.benchmarks.accuracy --out after.json                                    # this version
    python -m tests.benchmarks.accuracy --out before.json --esmm /other/clone/.venv/bin/esmm  # another one, or before
    python -m tests.benchmarks.accuracy --compare before.json after.json

Two logs: ``esmm synth`` of a million impressions (lists a fifth of Ali-CCP's length, so that it takes minutes), and
KuaiRand where its log in the raw form is at hand. Three seeds each, default settings. The difference of the means is
set against the AUC's standard error (DeLong), which the choice of the test impressions alone explains.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEEDS = (1, 2, 3)
KUAIRAND = Path(__file__).parents[3] / "shared/data/kuairand"

Results = dict[str, list[dict[str, dict[str, float]]]]
"""By log, for each seed: by task, ``auc`` and ``auc_standard_error``"""


@dataclass(frozen=True, kw_only=True)
class Commands:
    """The version that is measured, and where it works."""

    esmm: Sequence[str]
    folder: Path
    """Data sets are made here once; versions that are compared read the same"""

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run a command, its report to stderr; return its JSON result."""
        line = [*self.esmm, *arguments, "--json"]
        done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


def main() -> None:
    """Measure or compare, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--impressions", type=int, default=1_000_000, help="of the synthetic log, train and test")
    parser.add_argument("--list-scale", type=float, default=0.2, help="lengths of its lists; 1: Ali-CCP's")
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="where data and runs are made")
    parser.add_argument("--kuairand", type=Path, default=KUAIRAND, help="folder of its raw log; left out if missing")
    parser.add_argument("--esmm", default=f"{sys.executable} -m launcher", help="command of the version to measure")
    parser.add_argument("--out", type=Path, help="file of the results")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"), help="two files of results")
    arguments = parser.parse_args()
    if arguments.compare:
        before, after = (json.loads(path.read_text()) for path in arguments.compare)
        print(comparison(before, after))
        return
    commands = Commands(esmm=shlex.split(arguments.esmm), folder=arguments.folder)
    logs = {f"synth {arguments.impressions:,}": synthetic(commands, arguments.impressions, arguments.list_scale)}
    if arguments.kuairand.is_dir():
        logs["KuaiRand"] = preprocessed(commands, arguments.kuairand, "data-kuairand", "aliccp")
    else:
        print(f"KuaiRand: left out, there is no log at {arguments.kuairand}", file=sys.stderr)
    results = {name: [trained(commands, data, seed) for seed in SEEDS] for name, data in logs.items()}
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1))
    print(report(results))


def synthetic(commands: Commands, impressions: int, list_scale: float) -> Path:
    """Return the data set of a synthetic log, made unless it is there."""
    raw = commands.folder / f"raw-accuracy-{impressions}"
    if not (raw / "synth.json").is_file():
        commands.run("synth", str(raw), "--impressions", str(impressions), "--list-scale", str(list_scale))
    return preprocessed(commands, raw, f"data-accuracy-{impressions}", "aliccp-full")


def preprocessed(commands: Commands, raw: Path, name: str, schema: str) -> Path:
    """Return the data set of a log, made unless it is there."""
    data = commands.folder / name
    if not (data / "manifest.json").is_file():
        commands.run("preprocess", str(raw), str(data), "--schema", schema)
    return data


def trained(commands: Commands, data: Path, seed: int) -> dict[str, dict[str, float]]:
    """Train with default settings; return the AUCs on the test split."""
    run = commands.folder / f"run-accuracy-{data.name}-{seed}"
    subprocess.run(["rm", "-rf", str(run)], check=True)
    only_the_end = ["--eval-every-steps", "0", "--checkpoint-every-steps", "0", "--no-baseline"]
    result = commands.run("train", "--data", str(data), "--run", str(run), "--seed", str(seed), *only_the_end)
    subprocess.run(["rm", "-rf", str(run)], check=True)
    return {
        task: {"auc": found["auc"], "auc_standard_error": found["auc_standard_error"]}
        for task, found in result["metrics"].items()
    }


def report(results: Results) -> str:
    """Return a table: by log and task, each seed's AUC, their mean, and the standard error."""
    lines = [["log", "task", *(f"seed {seed}" for seed in SEEDS), "mean", "standard error"]]
    for log, seeds in results.items():
        for task in seeds[0]:
            aucs = [seed[task]["auc"] for seed in seeds]
            numbers = [*aucs, statistics.mean(aucs), _error(seeds, task)]
            lines.append([log, task.upper(), *(f"{number:.5f}" for number in numbers)])
    return _markdown(lines)


def comparison(before: Results, after: Results) -> str:
    """Return a table: by log and task, the difference of the means over the seeds against the standard error."""
    lines = [["log", "task", "before", "after", "difference", "standard error", "within one"]]
    for log in before.keys() & after.keys():
        for task in before[log][0]:
            means = [statistics.mean(seed[task]["auc"] for seed in results[log]) for results in (before, after)]
            error, difference = _error(before[log], task), means[1] - means[0]
            numbers = [f"{means[0]:.5f}", f"{means[1]:.5f}", f"{difference:+.5f}", f"{error:.5f}"]
            lines.append([log, task.upper(), *numbers, "yes" if abs(difference) <= error else "NO"])
    return _markdown(lines)


def _error(seeds: list[dict[str, dict[str, float]]], task: str) -> float:
    return statistics.mean(seed[task]["auc_standard_error"] for seed in seeds)


def _markdown(lines: list[list[str]]) -> str:
    lines = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
