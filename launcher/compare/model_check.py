"""Whether each model of a comparison can be made on the data set, before anything is trained.

Models are made in a process of their own, which sees no GPU: TensorFlow keeps a GPU's memory until its process ends,
and trainings need it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from esmm_dist.config import build
from esmm_dist.errors import ConfigError, EsmmError
from esmm_dist.schema.manifest import read_manifest
from esmm_dist.train.config import TrainConfig
from launcher.compare.models import ComparedModel

CHECK = (sys.executable, "-P", "-m", "launcher.compare.model_check")
"""Runs ``main`` of this module."""


class ModelCheckError(EsmmError):
    """The process that makes models has ended without a word about them."""


def check_models(models: Sequence[ComparedModel], data: Path, seed: int, check: Sequence[str] = CHECK) -> None:
    """Make each model as its training does, and drop it: some seconds.

    Args:
        models: the models
        data: folder of the data set
        seed: seed of their first trainings
        check: the words that run the check

    Raises:
        ConfigError: a model's settings do not fit each other or the data set, or its own network fails
        ModelCheckError: the check itself fails
    """
    asked = {"data": str(data), "seed": seed, "models": {each.name: each.settings for each in models}}
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        tuple(check),
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env=environment,
    )
    if done.returncode != 0:
        raise ModelCheckError(f"The models cannot be made: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    for name, error in json.loads(done.stdout.splitlines()[-1]).items():
        raise ConfigError(f"Model '{name}': {error}")


def main() -> None:
    """Read models from stdin, and write the error of the first one that cannot be made to stdout, as JSON by name."""
    from esmm_dist.train.model_check import check_model

    asked = json.load(sys.stdin)
    manifest = read_manifest(Path(asked["data"]))
    for name, settings in asked["models"].items():
        whole = {**settings, "data": Path(asked["data"]), "run": "run", "seed": asked["seed"]}
        try:
            check_model(build(TrainConfig, whole, where=""), manifest)
        except EsmmError as e:
            print(json.dumps({name: str(e)}))
            return
    print("{}")


if __name__ == "__main__":
    main()
