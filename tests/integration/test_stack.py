"""The installed stack at work, in processes of its own."""

import subprocess
import sys

import pytest

from launcher.doctor.libraries import check_libraries

# Importing TensorFlow takes 5 s on an idle machine and has taken 50 on a busy one.
pytestmark = pytest.mark.timeout(400)


def test_tfra_horovod_and_tensorflow_work_on_this_machine():
    findings = check_libraries()
    assert [finding.name for finding in findings] == ["TFRA table", "Horovod", "GPU"]
    assert [finding for finding in findings if finding.status == "failed"] == []


def test_a_quiet_import_writes_nothing_and_warns_of_nothing():
    code = (
        "from esmm_dist.process.quiet import import_horovod, import_tfra\n"
        "tfra = import_tfra(); hvd = import_horovod()\n"
        "import tensorflow as tf\n"
        "tfra.dynamic_embedding.CuckooHashTable(tf.int64, tf.int64, tf.constant([-1], tf.int64))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_packages_can_be_added_to_the_environment():
    done = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pip ")
