"""A run that can only be read is evaluated, predicted from and exported; a training says what is wrong."""

from pathlib import Path

import pytest

from launcher.cli import main
from tests.support.small_disk import read_only

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    for line in (
        f"synth {place}/raw --impressions 3000 --seed 1",
        f"preprocess {place}/raw {place}/data --schema aliccp",
        f"train --data {place}/data --run {place}/run --max-steps 2",
    ):
        assert main(line.split()) == 0
    return place


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("evaluate --run RUN --data DATA", 0),
        ("predict --run RUN --data DATA --split test --out OUT/predictions.parquet", 0),
        ("export --run RUN --out OUT/model", 0),
        ("checkpoints RUN", 0),
        ("train --run RUN", 1),
        ("local --workers 1 --servers 1 -- --data DATA --run RUN", 1),
    ],
)
def test_a_run_that_cannot_be_written_serves_all_who_read(made, tmp_path, line, status, capsys):
    words = line.replace("RUN", f"{made}/run").replace("DATA", f"{made}/data").replace("OUT", str(tmp_path)).split()
    with read_only(made / "run"):
        assert main(words) == status
    if status:
        assert f"esmm: {made}/run" in (said := capsys.readouterr().err.splitlines()[-1])
        assert "EROFS" in said
