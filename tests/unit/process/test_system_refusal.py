"""What the operating system refuses is told with the place, whatever the error itself knows."""

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest

from esmm_dist.errors import StorageError
from esmm_dist.process.system_refusal import error_in_text, refusal, refusals_named
from tests.unit.preprocess.raw_logs import make_log, small_schema

LIMITED = """
import resource, sys
from launcher.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EACCES, "Permission denied", "/a/b"), r"^/a/b: the system refuses \(EACCES: .*Check its owner"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), r"^/place: the system refuses \(EDQUOT: .*of the quota"),
    ],
)
def test_the_files_name_is_told_and_else_the_place_of_the_work(error: OSError, message: str):
    with pytest.raises(StorageError, match=message), refusals_named(Path("/place")):
        raise error


def test_an_error_that_is_no_refusal_stays_what_it_is(tmp_path: Path):
    assert refusal(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")) is None
    with pytest.raises(OSError, match="odd") as caught, refusals_named(tmp_path):
        raise OSError("odd")
    assert not isinstance(caught.value, StorageError)


def test_a_refusal_that_a_library_tells_in_a_text_of_its_own_is_found():
    """What TensorFlow says of a file that is too large."""
    text = "{{function_node __wrapped__SaveV2}} m/part-0.tempstate676; File too large [Op:SaveV2]\nmore"
    assert error_in_text(text).errno == errno.EFBIG
    assert (error_in_text("odd\nmore").errno, str(error_in_text("odd\nmore"))) == (None, "odd")


def test_a_real_full_device_is_told(tmp_path: Path):
    full = Path("/dev/full")
    with pytest.raises(StorageError, match=r"^/dev/full: .*ENOSPC"), refusals_named(full), full.open("wb") as file:
        file.write(b"x")


def test_preprocess_under_a_limit_on_the_size_of_files_names_the_place_and_goes_on_without_it(tmp_path: Path):
    raw = tmp_path / "raw"
    make_log(200, 9).write(raw)
    line = ["preprocess", str(raw), str(tmp_path / "out"), "--schema", str(small_schema(tmp_path / "s"))]
    line += ["--min-count", "1", "--workers", "1"]
    limited = subprocess.run([sys.executable, "-c", LIMITED, *line], capture_output=True, text=True, timeout=100)
    assert limited.returncode == 1
    assert re.search(rf"^esmm: {tmp_path}/out\S*: the system refuses \(EFBIG: File too large\)", limited.stderr, re.M)
    free = subprocess.run([sys.executable, "-m", "launcher", *line], capture_output=True, text=True, timeout=100)
    assert free.returncode == 0, free.stderr
