"""The benchmarks' table and turns."""

from pathlib import Path

import pytest

from tests.benchmarks.figures import (
    Figure,
    Paired,
    Scale,
    StepClock,
    paired,
    read_figures,
    table,
    timed,
    write_figures,
)


def test_sides_take_turns_and_neither_is_always_the_second():
    calls = []

    def side(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    found = paired({"a": lambda: side("a"), "b": lambda: side("b")}, rounds=3)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert found.values == {"a": [1, 4, 5], "b": [2, 3, 6]}


def test_a_ratio_is_the_median_of_the_rounds_ratios_and_not_that_of_the_medians():
    found = Paired({"a": [10, 30, 8], "b": [1, 10, 4]})  # a machine that was three times as fast in the second round
    assert found.ratio("a", "b") == 3  # of 10, 3 and 2
    assert (found.median("a"), found.median("b")) == (10, 4)


@pytest.mark.parametrize(
    ("value", "target", "less_is_better", "met"),
    [
        (3.0, 3.0, False, True),
        (2.9, 3.0, False, False),
        (1.3, 1.3, True, True),
        (1.4, 1.3, True, False),
        (1.4, None, True, None),
    ],
)
def test_a_target_is_a_bound_from_below_unless_less_is_better(
    value: float, target: float | None, less_is_better: bool, met: bool | None
):
    assert Figure(name="f", value=value, unit="", target=target, less_is_better=less_is_better).is_met is met


def test_the_table_has_ratios_to_target_and_floor_and_says_what_is_missed():
    figures = [
        Figure(
            name="training", value=41_800.4, unit="impressions/s", target=83_600, floor=104_501, note="towers alone"
        ),
        Figure(name="save / copy", value=1.25, unit="", target=1.3, less_is_better=True),
        Figure(name="push", value=0.0421, unit="s"),
    ]
    header, rule, *lines = table(figures).splitlines()
    assert [cell.strip() for cell in header.split("|")[1:-1]] == [
        "figure", "value", "target", "value / target", "floor", "value / floor", "met", "note"
    ]  # fmt: skip
    assert set(rule) == set("| -")
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines] == [
        ["training", "41,800 impressions/s", ">= 83,600", "0.50", "104,501", "0.40", "NO", "towers alone"],
        ["save / copy", "1.25", "<= 1.30", "0.96", "", "", "yes", ""],
        ["push", "0.042 s", "", "", "", "", "", ""],
    ]
    assert len({len(line) for line in (header, rule, *lines)}) == 1


def test_figures_come_back_from_their_file(tmp_path: Path):
    figures = [
        Figure(name="f", value=1.5, unit="s", target=2, less_is_better=True, note="n"),
        Figure(name="g", value=2, unit=""),
    ]
    write_figures(tmp_path / "figures.json", figures)
    assert read_figures(tmp_path / "figures.json") == figures


def test_time_of_an_ended_process_counts_as_cpu_time():
    import subprocess
    import sys

    code = "import time\nwhile time.process_time() < 0.3: pass"
    times = timed(lambda: subprocess.run([sys.executable, "-c", code], check=True))
    assert times.cpu_s >= 0.25  # the clock of ended processes has ticks of 10 ms
    assert times.wall_s > 0


def test_a_quick_run_is_small():
    assert Scale(folder=Path("."), quick=True).of(1000, 10) == 10
    assert Scale(folder=Path(".")).of(1000, 10) == 1000


def test_a_step_clock_leaves_the_first_steps_out():
    clock = StepClock()
    for _ in range(3):
        clock.advance(1)
    ends = clock._ends
    assert clock.after(1).wall_s == ends[2][0] - ends[0][0]
    assert clock.after(2).wall_s == ends[2][0] - ends[1][0]
