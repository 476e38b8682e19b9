"""What ``esmm preprocess`` says of a data set to a program, by a hand-made manifest."""

from dataclasses import replace
from pathlib import Path

from launcher.commands.data_set_report import report_mapping
from tests.support.tiny_dataset import tiny_schema
from tests.unit.api.test_data_set import manifest

OUT = Path("data")
NAME = tiny_schema().name


def test_a_program_gets_the_same_as_numbers():
    report = {"warnings": [], "lines": {"train": 3}}
    found = report_mapping(OUT, replace(manifest(), report=report))
    assert found == {
        "data": "data",
        "schema": NAME,
        "vocabulary_size": 1234,
        "splits": {
            "train": {
                "impressions": 200, "records": 40, "label_counts": {"click": 30, "conversion": 4},
                "broken_chains": {"conversion": 0}, "bytes": 4000, "shards": 2,
            },
            "test": {
                "impressions": 0, "records": 40, "label_counts": {"click": 30, "conversion": 4},
                "broken_chains": {"conversion": 0}, "bytes": 0, "shards": 0,
            },
        },
        "report": report,
    }  # fmt: skip
