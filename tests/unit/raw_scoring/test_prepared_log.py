"""A log of the Ali-CCP form is scored by way of a data set, which is gone afterwards."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from esmm_dist.api.known_ids import known_ids_fetched
from esmm_dist.checkpoint.choice import CheckpointChoice
from esmm_dist.config import build
from esmm_dist.errors import ConfigError, InputDataError, SchemaError
from esmm_dist.inference.predict import PredictConfig, predict
from esmm_dist.inference.trained_model import open_model
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.progress import NoProgress
from esmm_dist.ranks.solo import SoloWorld
from esmm_dist.raw_scoring import prepared_log
from esmm_dist.raw_scoring import score_raw as of_score_raw
from esmm_dist.raw_scoring.raw_result import RawResult
from esmm_dist.raw_scoring.score_raw import score_raw
from esmm_dist.raw_scoring.score_table import score_table
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.run import train
from preprocess.config import PreprocessConfig
from preprocess.run import preprocess
from tests.support.s3_server import S3Server
from tests.unit.preprocess.raw_logs import Log, make_log, run

COLUMNS = ("pctr", "pcvr", "pctcvr")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a log ``raw``, its data set ``data``, and the run ``run``."""
    folder = tmp_path_factory.mktemp("joined")
    run(make_log().write(folder / "raw"), folder / "data", min_count=2)
    settings = {
        "data": folder / "data",
        "run": str(folder / "run"),
        "input": {"global_batch_records": 6, "epochs": 1},
        "embedding": {"embedding_dim": 4, "start_scale": 0.5},
        "model": {"hidden_units": [8]},
    }
    train(build(TrainConfig, settings, where="test"), NoProgress())
    return folder


def tomorrow() -> Log:
    """Return a log of new impressions without a train split, whose labels are not known yet; one line is damaged."""
    log = make_log(180, users=12)  # three users and some impressions that the model has not seen
    log.skeleton = {
        "test": [b",".join([line.split(b",")[0], b"0", b"0", *line.split(b",")[3:]]) for line in log.skeleton["test"]]
    }
    log.common = {"test": log.common["test"]}
    log.skeleton["test"][7] = b"no impression"
    return log


def scored(trained: Path, raw: object, out: Path, **settings: object) -> RawResult:
    config = PredictConfig(run=str(trained / "run"), raw=str(raw), out=out, **settings)  # type: ignore[arg-type]
    return score_raw(config, NoProgress())


def test_a_log_of_two_files_has_the_scores_of_a_data_set_with_the_ids_of_the_run(
    trained: Path, tmp_path: Path, s3: S3Server
):
    raw = tomorrow().write(tmp_path / "raw")
    out = tmp_path / "scores.parquet"
    result = scored(trained, raw, out, keep=("101",))
    found = pq.read_table(out)
    assert (result.rows, result.rejected) == (59, {"wrong_columns": 1})
    assert result.first_rejects == {"wrong_columns": "sample_skeleton_test.csv line 8"}
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "raw",
        "scores.parquet",
        "scores.parquet.rejects.jsonl",
    ]
    (reject,) = (tmp_path / "scores.parquet.rejects.jsonl").read_text().splitlines()
    assert json.loads(reject)["line"] == 8
    like = PreprocessConfig(
        raw=raw, out=tmp_path / "day", like=str(trained / "data"), vocabulary=str(trained / "run"), max_reject_share=0.1
    )
    with known_ids_fetched(like, NoProgress()) as settings:
        preprocess(settings, NoProgress())
    predict(PredictConfig(run=str(trained / "run"), data=tmp_path / "day", out=tmp_path / "day.parquet"), NoProgress())
    expected = {row["sample_id"]: row for row in pq.read_table(tmp_path / "day.parquet").to_pylist()}
    assert len({round(row["pctr"], 6) for row in expected.values()}) > 20
    for row in found.to_pylist():
        scores = expected.pop(row["sample_id"])
        assert [row[name] for name in COLUMNS] == pytest.approx([scores[name] for name in COLUMNS], rel=1e-6)
    assert expected == {}
    s3.make_bucket("joined")
    for path in raw.iterdir():
        Folder.open(s3.uri("joined/raw")).write_bytes(path.name, path.read_bytes())
    scored(trained, s3.uri("joined/raw"), Path(s3.uri("joined/out")))
    stored = Folder.open(s3.uri("joined/out"))
    assert stored.names() == ["_rejects-00000.jsonl", "part-00000.parquet"]
    with stored.open_input("part-00000.parquet") as stream:
        assert pq.read_table(stream)["pctr"].to_pylist() == found["pctr"].to_pylist()


def test_a_data_set_that_is_there_is_not_made_again(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw, out = tomorrow().write(tmp_path / "raw"), tmp_path / "scores.csv"

    def stop(config: PredictConfig, progress: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepared_log, "predict", stop)
    with pytest.raises(KeyboardInterrupt):
        scored(trained, raw, out)
    manifest = tmp_path / ".scores.csv.data" / "data" / "manifest.json"
    before = manifest.stat().st_mtime_ns
    seen = []

    def look(config: PredictConfig, progress: object) -> object:
        seen.append(manifest.stat().st_mtime_ns)
        return predict(config, NoProgress())

    monkeypatch.setattr(prepared_log, "predict", look)
    assert scored(trained, raw, out).rows == 59
    assert seen == [before]
    assert not manifest.parent.parent.exists()


def test_what_cannot_be_prepared_is_refused(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw, out = tomorrow().write(tmp_path / "raw"), tmp_path / "scores.csv"
    with pytest.raises(InputDataError, match=r"holds neither sample_skeleton_train.csv .* split \(--split train\)"):
        scored(trained, raw, out, split="train")
    with pytest.raises(ConfigError, match="is read by the run's own. Leave it out"):
        scored(trained, raw, out, schema="aliccp")
    monkeypatch.setattr(of_score_raw, "open_world", lambda token: SoloWorld())
    monkeypatch.setattr(SoloWorld, "size", 2)
    with pytest.raises(ConfigError, match="2 ranks would each make one"):
        scored(trained, raw, tmp_path / "scores")


def test_a_table_of_an_aliccp_model_is_refused(trained: Path):
    choice = CheckpointChoice(run=str(trained / "run"))
    opened = open_model(choice, NoProgress(), connection=ConnectionConfig(), world=SoloWorld())
    with opened as model, pytest.raises(SchemaError, match="has the Ali-CCP form.*esmm predict --raw"):
        score_table(model, pa.table({"101": ["7"]}))
