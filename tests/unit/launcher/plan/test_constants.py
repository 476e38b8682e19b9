from dataclasses import fields, replace
from pathlib import Path

import pytest

from esmm_dist.errors import ConfigError
from launcher.plan.constants import PlanConstants, read_constants
from launcher.settings.setting_docs import setting_docs
from tests.unit.launcher.plan.plain_numbers import zero_constants


def test_every_constant_says_what_it_is():
    assert set(setting_docs(PlanConstants)) == {field.name for field in fields(PlanConstants)}


def test_the_shipped_constants_say_where_they_are_from():
    shipped = read_constants(None)
    assert "cores" in shipped.measured_on
    assert "plan_constants" in shipped.measured_by


def test_a_constant_below_zero_is_refused():
    with pytest.raises(ConfigError, match=r"step_ms is -1.0. Set a number of 0 or more, or measure it: python"):
        zero_constants(step_ms=-1.0)


def test_what_is_divided_by_must_not_be_zero():
    with pytest.raises(ConfigError, match="tower_gflops is 0, so that no step would end"):
        zero_constants(tower_gflops=0.0)


def test_a_file_of_other_things_is_refused(tmp_path: Path):
    path = tmp_path / "constants.yaml"
    path.write_text("step_msec: 1.0\n")
    with pytest.raises(ConfigError, match=r"step_msec.*step_ms"):
        read_constants(path)


def test_constants_that_are_written_are_read_back(tmp_path: Path):
    from tests.benchmarks.plan_constants import write

    constants = replace(read_constants(None), step_ms=1.25, restore_ns_per_byte=0.0)
    write(tmp_path / "constants.yaml", constants)
    assert read_constants(tmp_path / "constants.yaml") == constants
