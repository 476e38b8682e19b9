"""Which checkpoint RUN, RUN:STEP and a step beside the run name."""

import pytest

from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "run", "step"),
    [
        ("runs/a", "runs/a", None),
        ("runs/a:120", "runs/a", 120),
        ("s3://bucket/run", "s3://bucket/run", None),
        ("s3://bucket/run:8", "s3://bucket/run", 8),
        # Ports are no steps
        ("hdfs://host:8020/run", "hdfs://host:8020/run", None),
        ("hdfs://host:8020/run:7", "hdfs://host:8020/run", 7),
        ("hdfs://host:8020", "hdfs://host:8020", None),
        ("s3://bucket/run?endpoint_override=127.0.0.1:9000", "s3://bucket/run?endpoint_override=127.0.0.1:9000", None),
        ("runs/a:b", "runs/a:b", None),
        (":5", ":5", None),
    ],
)
def test_a_step_may_stand_behind_the_run(text, run, step):
    assert CheckpointChoice.parse(text) == CheckpointChoice(run=run, step=step)


def test_a_step_beside_the_run_is_taken():
    assert CheckpointChoice.parse("runs/a", 3) == CheckpointChoice(run="runs/a", step=3)
    assert CheckpointChoice.parse("runs/a:3", 3) == CheckpointChoice(run="runs/a", step=3)


@pytest.mark.parametrize(
    ("text", "step", "message"),
    [
        ("runs/a:3", 4, "run is runs/a:3, which names step 3, and step is 4. Give one of them."),
        ("runs/a", -1, "step is -1. Give the step of a checkpoint; esmm checkpoints RUN lists them."),
        ("", None, "run is empty. Give the folder or URI of a run"),
    ],
)
def test_what_names_no_checkpoint_is_refused(text, step, message):
    with pytest.raises(ConfigError, match=message):
        CheckpointChoice.parse(text, step)
