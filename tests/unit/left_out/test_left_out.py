"""Packages that are left out of an import: in its block and its thread alone; a start does without some."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from esmm_dist.left_out import left_out


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    (tmp_path / "optional_package.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "optional_package", raising=False)
    return "optional_package"


def test_a_package_is_not_found_in_the_block_and_is_after_it(package):
    with left_out(package), pytest.raises(ModuleNotFoundError, match="optional_package is left out here"):
        __import__(package)
    assert __import__(package) is sys.modules[package]
    with left_out(package):
        assert __import__(package) is sys.modules[package]


def test_other_threads_find_it_meanwhile(package):
    with left_out(package), ThreadPoolExecutor(1) as pool:
        assert pool.submit(__import__, package).result() is sys.modules[package]


def test_training_starts_without_packages_that_its_libraries_use_if_they_are_there():
    code = (
        "import sys, esmm_dist.process.quiet as quiet; quiet.import_tfra(); import esmm_dist.train.elastic; "
        "print([name for name in ('pandas', 'scipy.linalg', 'scipy.sparse', 'sklearn') if name in sys.modules]); "
        "import pandas, scipy.linalg"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "[]\n"


def test_settings_of_training_are_read_without_numba_and_tensorflow():
    code = "import sys, esmm_dist.train.config; print([m for m in ('numba', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "[]\n"
