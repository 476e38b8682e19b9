"""Printed settings read back as the same settings."""

from pathlib import Path

import pytest
import yaml

from esmm_dist.config import build, to_mapping
from launcher.settings.print_settings import settings_yaml
from launcher.settings.setting_docs import class_doc, setting_docs
from tests.unit.launcher.settings.sample_settings import SampleConfig, TableConfig


@pytest.mark.parametrize(
    "settings",
    [
        SampleConfig(data=Path("d")),
        SampleConfig(data=Path("a: b # c"), limit=1e-7, towers=(), task_weights={}, shuffle=False),
        SampleConfig(data=Path("a\x85b\u2028c\u2029"), task_weights={"\x85": 0.1}),
        SampleConfig(data=Path("ö" * 300), task_weights={"no": 0.1}, table=TableConfig(optimizer="sgd")),
    ],
)
def test_printed_settings_read_back_identically(settings):
    text = settings_yaml(SampleConfig, to_mapping(settings))
    assert build(SampleConfig, yaml.safe_load(text), where="text") == settings


def test_each_setting_is_printed_below_its_meaning():
    lines = settings_yaml(SampleConfig, to_mapping(SampleConfig(data=Path("d")))).splitlines()
    assert lines[lines.index("  embedding_dim: 16") - 1] == "  # Floats in a row. 16 suits a test."
    assert lines[lines.index("table:") - 1] == "# The embedding table."
    assert "towers: [256, 128]" in lines


def test_a_required_setting_without_a_value_is_printed_as_a_comment():
    text = settings_yaml(
        SampleConfig, {k: v for k, v in to_mapping(SampleConfig(data=Path("d"))).items() if k != "data"}
    )
    assert "# data:    (required; no default)" in text
    assert "data" not in yaml.safe_load(text)


def test_docs_of_a_class_made_at_run_time_are_empty():
    made = type("Made", (), {})
    assert setting_docs(made) == {}
    assert class_doc(made) == ""


def test_docs_include_those_of_inherited_settings():
    class Longer(TableConfig):
        pass

    assert setting_docs(Longer)["embedding_dim"] == "Floats in a row. 16 suits a test."
