"""AUCs of two versions, side by side."""

from pathlib import Path

import pytest

from tests.benchmarks.accuracy import Commands, comparison, report


def seeds(*aucs: float, error: float = 0.004) -> list[dict[str, dict[str, float]]]:
    return [{"ctr": {"auc": auc, "auc_standard_error": error}} for auc in aucs]


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_a_difference_of_the_means_within_a_standard_error_is_told_from_a_larger_one():
    before = {"synth": seeds(0.70, 0.71, 0.72), "KuaiRand": seeds(0.70, 0.70, 0.70)}
    after = {"synth": seeds(0.71, 0.71, 0.72), "KuaiRand": seeds(0.70, 0.69, 0.695)}
    lines = sorted(cells(comparison(before, after))[2:])
    assert lines == [
        ["KuaiRand", "CTR", "0.70000", "0.69500", "-0.00500", "0.00400", "NO"],
        ["synth", "CTR", "0.71000", "0.71333", "+0.00333", "0.00400", "yes"],
    ]


def test_a_log_that_one_side_lacks_is_not_compared():
    assert len(cells(comparison({"synth": seeds(0.7)}, {"KuaiRand": seeds(0.7)}))) == 2


def test_the_report_has_each_seed_and_the_mean():
    *_, line = cells(report({"synth": seeds(0.70, 0.71, 0.72)}))
    assert line == ["synth", "CTR", "0.70000", "0.71000", "0.72000", "0.71000", "0.00400"]


def test_a_commands_result_is_the_last_line_it_prints(tmp_path: Path):
    commands = Commands(esmm=["sh", "-c", 'echo "$0 $@"; echo {\\"a\\": 1}'], folder=tmp_path)
    assert commands.run("train") == {"a": 1}
    failing = Commands(esmm=["false"], folder=tmp_path)
    with pytest.raises(Exception, match="returned non-zero exit status 1"):
        failing.run("train")
