"""``import esmm_dist`` in a process of its own, where nothing else was imported."""

import importlib
import inspect
import json
import subprocess
import sys

import esmm_dist

LOOK = """
import gc, json, os, signal, sys, threading, warnings
def state():
    handlers = [signal.getsignal(number) for number in (1, 2, 15)]
    return [handlers, list(warnings.filters), dict(os.environ), gc.get_freeze_count()]
before = state()
import esmm_dist
assert state() == before
assert threading.active_count() == 1
slow = ("tensorflow", "keras", "numpy", "pyarrow", "pandas", "polars", "pydantic", "numba", "rich", "yaml")
at_import = [name for name in slow if name in sys.modules]
names = [name for name in esmm_dist.__all__ if getattr(esmm_dist, name) is None]
later = [name for name in ("tensorflow", "keras", "pandas", "polars") if name in sys.modules]
import esmm_dist.train.config
sys.stderr.write(json.dumps([at_import, names, later, callable(esmm_dist.train)]))
"""


def test_the_import_starts_and_prints_nothing_and_the_use_of_names_brings_no_tensorflow():
    done = subprocess.run([sys.executable, "-W", "error", "-c", LOOK], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
    assert json.loads(done.stderr) == [[], [], [], True]


def test_all_names_are_there_and_no_others():
    assert set(esmm_dist.__all__) <= set(dir(esmm_dist))
    assert not hasattr(esmm_dist, "trian")


def test_the_package_that_trains_is_the_function_that_trains():
    assert importlib.import_module("esmm_dist.train.config").TrainConfig
    assert vars(esmm_dist)["train"] is importlib.import_module("esmm_dist.train")
    assert list(inspect.signature(esmm_dist.train).parameters)[:2] == ["data", "run"]
