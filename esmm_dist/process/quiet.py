"""The one place where TensorFlow, TFRA and Horovod are imported for the first time: without their start-up noise.

Imported plainly they write some fifteen lines to a user's terminal (no GPU found, plug-ins registered twice, deprecated
packages), and TFRA prints one to stdout, where a command's ``--json`` line must be the only thing to parse. None of it
tells the user anything to do. Here the lines known to be harmless are dropped; every other line is passed on to stderr,
and a failed import shows everything.

A package whose modules say ``import tensorflow as tf`` calls ``import_tensorflow()`` (or ``import_tfra()``) in its
``__init__.py``, which Python runs before any of its modules. For a user who sets ``TF_CPP_MIN_LOG_LEVEL``
nothing is dropped.
"""

import contextlib
import importlib
import io
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO, Any

from esmm_dist.left_out import left_out
from esmm_dist.process.paused_collection import paused_collection

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"

# Read by TensorFlow's C++ code once, when its library is loaded. 2 keeps errors: level 3 would also hide those that
# come hours later. The harmless errors at load time are dropped by _HARMLESS instead.
_QUIET_LEVEL = "2"

_HARMLESS = re.compile(
    r"cudart_stub|cuda_fft|cuda_dnn|cuda_blas|cuda_executor|computation_placer|cpu_feature_guard|tensorrt|TF-TRT"
    r"|oneDNN|rebuild TensorFlow with the appropriate compiler flags"
    r"|All log messages before absl::InitializeLog\(\) is called"
    r"|_SingleDeviceSaver removed after tf version"
)
_HARMLESS_LATER = re.compile(r"dynamic_embedding\.GraphKeys has already been deprecated")

# TensorFlow and Keras would take data frames and sparse matrices in place of arrays; nothing here gives them any
_OPTIONAL = ("pandas", "scipy")

# Tells a child process, which inherits the level, that it was set here and not by the user.
_SET_HERE = "ESMM_LOG_LEVEL_SET_BY_QUIET_IMPORT"

_chosen_by_user = _LOG_LEVEL in os.environ and _SET_HERE not in os.environ


def import_tensorflow() -> Any:
    """Import TensorFlow and return the module (about 5 s the first time, nothing later).

    Call it from the main thread, before other threads write to stderr: the process's stderr is caught meanwhile.

    Raises:
        ImportError: It is not installed or cannot be loaded; what it wrote is on stderr.
    """
    with left_out(*_OPTIONAL):
        return _import_quietly("tensorflow")


def import_tfra() -> Any:
    """Import TensorFlow and TFRA and return ``tensorflow_recommenders_addons`` (about 2 s beyond TensorFlow).

    Raises:
        ImportError: As ``import_tensorflow``.
    """
    import_tensorflow()
    with left_out(*_OPTIONAL):
        keras = _import_quietly("keras")
    # TFRA puts a function of its own there, written for Keras 2: GlorotUniform and all of its kind then fail
    scaled = keras.initializers.VarianceScaling
    call = scaled.__call__
    with left_out(*_OPTIONAL):
        tfra = _import_quietly("tensorflow_recommenders_addons")
    scaled.__call__ = call
    return tfra


def import_horovod() -> Any:
    """Import TensorFlow and Horovod and return ``horovod.tensorflow``.

    Raises:
        ImportError: As ``import_tensorflow``, or Horovod was built without TensorFlow.
    """
    import_tensorflow()
    return _import_quietly("horovod.tensorflow")


def horovod_library() -> Path:
    """Return the file of Horovod's library, which ``import_horovod`` has loaded."""
    mpi_ops = importlib.import_module("horovod.tensorflow.mpi_ops")
    return Path(mpi_ops._basics.MPI_LIB_CTYPES._name)


def _import_quietly(name: str) -> Any:
    if name in sys.modules:
        return sys.modules[name]
    if _chosen_by_user:
        with paused_collection():
            return importlib.import_module(name)
    os.environ.update({_LOG_LEVEL: _QUIET_LEVEL, _SET_HERE: "1"})
    with _harmless_lines_dropped(), warnings.catch_warnings(), paused_collection():
        # Deprecations inside these libraries (pkg_resources, np.* aliases) are theirs to fix; the versions are pinned.
        warnings.simplefilter("ignore")
        module = importlib.import_module(name)
    _filter_later_lines()
    return module


@contextlib.contextmanager
def _harmless_lines_dropped() -> Iterator[None]:
    """Catch stdout and stderr, then pass on to stderr what is not known to be harmless; all of it on an exception."""
    printed = io.StringIO()
    failed = True
    with tempfile.TemporaryFile() as native:
        try:
            with _native_stderr_into(native), redirect_stdout(printed), redirect_stderr(printed):
                yield
            failed = False
        finally:
            native.seek(0)
            _pass_on(native.read().decode("utf-8", errors="replace") + printed.getvalue(), everything=failed)


@contextlib.contextmanager
def _native_stderr_into(file: IO[bytes]) -> Iterator[None]:
    """Point file descriptor 2 at a file: C++ code does not go through ``sys.stderr``."""
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _pass_on(text: str, *, everything: bool) -> None:
    for line in text.splitlines():
        if everything or not _HARMLESS.search(line):
            print(line, file=sys.stderr)


def _filter_later_lines() -> None:
    """Drop the deprecation that TFRA logs whenever a table is made."""
    logger = logging.getLogger("tensorflow")
    if not any(isinstance(f, _HarmlessRecords) for f in logger.filters):
        logger.addFilter(_HarmlessRecords())


class _HarmlessRecords(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _HARMLESS_LATER.search(record.getMessage())
