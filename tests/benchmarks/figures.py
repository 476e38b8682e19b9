"""What the benchmarks share: a figure with its target and its floor, paired measurements, and the table.

A module of benchmarks has one function and one last line::

    def figures(scale: Scale) -> Iterator[Figure]:
        \"\"\"Yield each figure as soon as it is known.\"\"\"

    if __name__ == "__main__":
        show(__doc__, figures)

``python -m tests.benchmarks.NAME [--quick] [--folder FOLDER] [--json FILE]`` then prints its table, and ``make bench``
puts the tables of all modules together. Whatever can be named by a ratio in one run is a ratio: machines are noisy, and
a figure alone compares two days. ``paired`` lets the two sides take turns.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from esmm_dist.progress import NoProgress


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str
    """Such as ``impressions/s``; empty for a ratio"""
    target: float | None = None
    """Bound that the value must keep; None: there is none"""
    floor: float | None = None
    """What this machine allows, in the same unit: measured or computed in the same run; None: not known"""
    less_is_better: bool = False
    """Whether target and floor are bounds from above (seconds, bytes) or from below (rates)"""
    note: str = ""
    """How the floor was found, or why the target is missed"""

    @property
    def is_met(self) -> bool | None:
        """Whether the value keeps the target; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.less_is_better else self.value >= self.target


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much to measure, and where the data is kept."""

    quick: bool = False
    """Small sizes, at most a minute a module: shows that all runs; the figures mean little"""
    folder: Path
    """Data sets that several modules use are made here once (``reference_work.py``)"""

    def of(self, whole: int, quick: int) -> int:
        """Return the size of the whole run, or that of the quick one."""
        return quick if self.quick else whole


@dataclass(frozen=True, kw_only=True)
class Times:
    """What some work took."""

    wall_s: float
    cpu_s: float
    """Over all threads of this process, and over the processes that it started and that have ended"""


def timed(work: Callable[[], object]) -> Times:
    """Do the work once, and measure it."""
    wall, cpu = time.monotonic(), _cpu_s()
    work()
    return Times(cpu_s=_cpu_s() - cpu, wall_s=time.monotonic() - wall)


class StepClock(NoProgress):
    """Notes when each step of a training ends; given to a trainer as its progress."""

    def __init__(self) -> None:
        """Begin without a step."""
        self._ends: list[tuple[float, float]] = []

    def advance(self, amount: float, note: str = "") -> None:
        """Note the end of a step."""
        self._ends.append((time.monotonic(), _cpu_s()))

    def after(self, steps: int) -> Times:
        """Return what all steps but the first ``steps`` took."""
        (wall, cpu), (last_wall, last_cpu) = self._ends[steps - 1], self._ends[-1]
        return Times(wall_s=last_wall - wall, cpu_s=last_cpu - cpu)


class Paired:
    """Values of several sides, measured in turns."""

    def __init__(self, values: Mapping[str, Sequence[float]]) -> None:
        """Take the values of each side, in the order of the rounds."""
        self.values = values

    def median(self, side: str) -> float:
        """Return a side's median."""
        return statistics.median(self.values[side])

    def ratio(self, side: str, other: str) -> float:
        """Return the median over the rounds of a side's value over another's of the same round."""
        rounds = zip(self.values[side], self.values[other], strict=True)
        return statistics.median(value / by for value, by in rounds)


def paired(sides: Mapping[str, Callable[[], float]], *, rounds: int) -> Paired:
    """Measure the sides in turns: A B, B A, A B, ..., so that neither is always the second.

    Args:
        sides: by name, what does the work once and returns its value
        rounds: number of values of each side
    """
    values: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name in sides if turn % 2 == 0 else reversed(list(sides)):
            values[name].append(sides[name]())
    return Paired(values)


def table(figures: Sequence[Figure]) -> str:
    """Return the table of the figures, in Markdown that is aligned to be read as text too."""
    lines = [["figure", "value", "target", "value / target", "floor", "value / floor", "met", "note"]]
    for figure in figures:
        bound = "<= " if figure.less_is_better else ">= "
        lines.append(
            [
                figure.name,
                f"{_digits(figure.value)} {figure.unit}".strip(),
                "" if figure.target is None else bound + _digits(figure.target),
                "" if not figure.target else f"{figure.value / figure.target:.2f}",
                "" if figure.floor is None else _digits(figure.floor),
                "" if not figure.floor else f"{figure.value / figure.floor:.2f}",
                {None: "", True: "yes", False: "NO"}[figure.is_met],
                figure.note,
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)


def show(description: str | None, figures: Callable[[Scale], Iterator[Figure]]) -> None:
    """Measure as the command line says: print each figure as it comes, then the table or the file."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that all runs, in a minute")
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="where the data is made and kept")
    parser.add_argument("--json", type=Path, help="write the figures to this file, and print no table")
    arguments = parser.parse_args()
    found = []
    for figure in figures(Scale(quick=arguments.quick, folder=arguments.folder)):
        print(f"{figure.name}: {_digits(figure.value)} {figure.unit}", flush=True)
        found.append(figure)
    if arguments.json:
        write_figures(arguments.json, found)
    else:
        print(table(found))


def write_figures(path: Path, figures: Iterable[Figure]) -> None:
    """Write figures as JSON."""
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))


def read_figures(path: Path) -> list[Figure]:
    """Read what ``write_figures`` has written."""
    return [Figure(**fields) for fields in json.loads(path.read_text())]


def _digits(value: float) -> str:
    """Return three digits, or all of those before the point."""
    decimals = next((n for n, least in enumerate((100, 10, 1)) if abs(value) >= least), 3)
    return f"{value:,.{decimals}f}"


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
