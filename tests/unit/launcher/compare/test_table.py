"""The tables of a comparison on the terminal: what stands in which, how wide they are, what stands below what."""

import re
from dataclasses import replace

import pytest

from launcher.compare.comparison import Comparison
from launcher.compare.data import CompareData
from launcher.compare.figures import RunResult, figures_of
from launcher.compare.folder import CompareFolder
from launcher.compare.models import compared_models
from launcher.compare.table import markdown, report_lines
from launcher.compare.truth import PlantedTruth
from tests.support.tiny_dataset import tiny_schema
from tests.unit.launcher.compare.comparisons import compare_config, make_data, write_truth

TRAINING = {"resumed": True, "begun_cpu_s": None, "begun_share": None, "impressions": 0, "cpu_s": 1.0}


def comparison_of(tmp_path, labels=("click", "conversion"), *, small=0.7, large=0.72, error=0.01):
    """Return a comparison of two models with two seeds, all of whose figures are those given plus seed / 1000."""
    groups = make_data(tmp_path / "data")
    write_truth(tmp_path / "raw", "train", groups["validation"])
    config = compare_config(tmp_path, truth=tmp_path / "raw", seeds=2)
    data = CompareData.read(config)
    schema = tiny_schema(labels=labels)
    truth = PlantedTruth(path=tmp_path / "raw/truth_train.parquet", crc32c=1, labels=schema.label_tree)
    data = replace(data, manifest=replace(data.manifest, schema=schema), truth=truth)
    results = [
        RunResult(
            model=name,
            seed=seed,
            values={each.key: base + seed / 1000 for each in figures_of(data)},
            standard_errors={f"{task.name}.auc": error for task in data.tasks},
            training=TRAINING,
        )
        for name, base in (("small", small), ("large", large))
        for seed in (1, 2)
    ]
    models = compared_models(config)
    return Comparison(data=data, models=models, results=results, seeds=range(1, 3), jobs=1, failures={})


def lines_of(tmp_path, **changes):
    return report_lines(comparison_of(tmp_path, **changes), CompareFolder(path=tmp_path / "out"))


def tables_of(lines):
    """The rows of tables, which begin with a model's name, its heading, or ``truth``."""
    return [line for line in lines if re.match(r"(model|small|large|truth)  ", line)]


@pytest.mark.parametrize("labels", [("click", "conversion"), ("click", "cart", "purchase")])
def test_no_table_is_wider_than_a_terminal_and_each_row_has_its_model(tmp_path, labels):
    lines = lines_of(tmp_path, labels=labels)
    tables = tables_of(lines)
    assert max(map(len, tables)) <= 110
    assert sum(line.startswith("model") for line in tables) == sum(line.startswith("large") for line in tables)
    comparison = comparison_of(tmp_path / "again", labels=labels)
    text = "\n".join(tables)
    # each figure has a mean and a difference
    assert len(re.findall(r"0\.72\d+ ± 0\.00\d+", text)) == len(comparison.figures)
    assert len(re.findall(r"[+-]0\.0\d+ ± 0\.00\d+ \(p", text)) == len(comparison.figures)


def test_the_truth_stands_under_the_means(tmp_path):
    tables = tables_of(lines_of(tmp_path))
    truths = [place for place, line in enumerate(tables) if line.startswith("truth")]
    assert len(truths) == 3
    for place in truths[1:]:
        assert tables[place].index("0.000" if "0.000" in tables[place] else "1.000") == tables[place - 1].index("0.7")


def test_tables_by_the_truth_say_what_they_measure_in_words(tmp_path):
    text = "\n".join(lines_of(tmp_path, labels=("click", "cart", "purchase")))
    assert (
        "cart given click calibration by the true probabilities, on 142 impressions of validation (1 is best):" in text
    )
    assert re.search(r"model +all +clicked +not clicked\n", text)
    assert re.search(r"model +all +cart +no cart\n", text)
    assert not re.search(r"click 1|_given_|logarithm", text)


def test_the_markdown_has_the_same_tables(tmp_path):
    text = markdown(comparison_of(tmp_path), CompareFolder(path=tmp_path / "out"))
    assert "| model | all | clicked | not clicked |" in text
    assert "| truth | 1.000 | 1.000 | 1.000 |" in text
