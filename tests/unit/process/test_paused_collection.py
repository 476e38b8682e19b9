"""Imports without the garbage collector: it is as before afterwards, and has less to look at."""

import gc
import sys
from types import ModuleType

import pytest

from esmm_dist.process import quiet
from esmm_dist.process.paused_collection import paused_collection


@pytest.fixture(autouse=True)
def collector():
    """Leave the collector as it was."""
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_in_the_block_and_what_exists_is_frozen_after_it(monkeypatch):
    gc.unfreeze()
    with paused_collection():
        assert not gc.isenabled()
        monkeypatch.setitem(sys.modules, "imported_in_the_block", ModuleType("imported_in_the_block"))
        kept = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(kept)


def test_a_block_that_imports_nothing_new_freezes_nothing():
    gc.unfreeze()
    with paused_collection():
        assert not gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_block_that_fails_leaves_the_collector_on():
    with pytest.raises(KeyError), paused_collection():
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    with paused_collection():
        pass
    assert not gc.isenabled()


def test_a_quiet_import_is_made_without_it(tmp_path, monkeypatch):
    (tmp_path / "notes_collector.py").write_text("import gc\nwas_on = gc.isenabled()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not quiet._import_quietly("notes_collector").was_on
    assert gc.isenabled()
