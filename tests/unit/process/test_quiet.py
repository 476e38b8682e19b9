"""What a quiet import drops and what it passes on, shown with made-up noisy modules."""

import logging
import os
import subprocess
import sys
import warnings

import pytest

from esmm_dist.process import quiet

NOISE = "2024-01-01 00:00:00.1: I external/local_tsl/tsl/cuda/cudart_stub.cc:32] Could not find cuda drivers"


@pytest.fixture
def noisy(tmp_path, monkeypatch):
    """Return a function that writes a module and the name to import it by."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(quiet, "_chosen_by_user", False)
    monkeypatch.setattr(os, "environ", os.environ.copy())

    def make(body):
        name = f"noisy_{abs(hash((str(tmp_path), body)))}"
        (tmp_path / f"{name}.py").write_text(f"import os, sys, warnings\n{body}\n")
        return name

    yield make
    for name in [name for name in sys.modules if name.startswith("noisy_")]:
        del sys.modules[name]


def test_harmless_lines_are_dropped_wherever_they_are_written(noisy, capfd):
    name = noisy(f"os.write(2, b'{NOISE}\\n'); print('{NOISE}'); print('{NOISE}', file=sys.stderr)")
    assert quiet._import_quietly(name) is sys.modules[name]
    assert capfd.readouterr() == ("", "")


def test_other_lines_are_passed_on_to_stderr(noisy, capfd):
    quiet._import_quietly(noisy(f"os.write(2, b'{NOISE}\\nreal trouble\\n'); print('news')"))
    assert capfd.readouterr() == ("", "real trouble\nnews\n")


def test_warnings_of_the_import_are_dropped_and_later_ones_are_not(noisy):
    quiet._import_quietly(noisy("warnings.warn('old', DeprecationWarning)"))  # warnings are errors in tests
    with pytest.warns(UserWarning, match="later"):
        warnings.warn("later", UserWarning, stacklevel=1)


def test_a_failed_import_shows_everything(noisy, capfd):
    name = noisy(f"os.write(2, b'{NOISE}\\n'); import no_such_module")
    with pytest.raises(ImportError, match="no_such_module"):
        quiet._import_quietly(name)
    assert capfd.readouterr().err == NOISE + "\n"


def test_a_user_who_sets_the_log_level_sees_everything(noisy, capfd, monkeypatch):
    monkeypatch.setattr(quiet, "_chosen_by_user", True)
    quiet._import_quietly(noisy(f"os.write(2, b'{NOISE}\\n')"))
    assert capfd.readouterr().err == NOISE + "\n"


@pytest.mark.parametrize(("level", "first_import", "quiet_child"), [(None, True, True), ("1", False, False)])
def test_a_child_process_is_as_quiet_as_its_parent(noisy, level, first_import, quiet_child):
    for name in ("TF_CPP_MIN_LOG_LEVEL", quiet._SET_HERE):
        os.environ.pop(name, None)
    if level:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = level
    if first_import:
        quiet._import_quietly(noisy("pass"))
    code = "from esmm_dist.process import quiet; print(quiet._chosen_by_user)"
    environment = dict(os.environ)
    child = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert child.stdout == f"{not quiet_child}\n"


def test_stderr_works_as_before_after_an_import(noisy, capfd):
    quiet._import_quietly(noisy("pass"))
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


def test_a_second_import_returns_the_same_module(noisy):
    name = noisy("pass")
    assert quiet._import_quietly(name) is quiet._import_quietly(name)


def test_the_deprecation_that_tfra_logs_for_each_table_is_dropped(noisy, caplog):
    quiet._import_quietly(noisy("pass"))
    logger = logging.getLogger("tensorflow")
    logger.warning("dynamic_embedding.GraphKeys has already been deprecated. The Variable ...")
    logger.warning("real trouble")
    assert caplog.messages == ["real trouble"]
