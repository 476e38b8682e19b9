"""The folder of a run: one training at a time, settings that fit, and a log that survives a kill."""

import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import ConfigError, StorageError
from esmm_dist.storage.folder import Folder
from esmm_dist.train.config import TrainConfig
from esmm_dist.train.loss_window import LossWindow
from esmm_dist.train.run_folder import RunFolder, locked_run
from esmm_dist.train.run_settings import check_settings_fit, read_settings, write_settings
from tests.s3_server import S3Server

_numbers = itertools.count()


@pytest.fixture(params=["local", "s3"])
def location(request, tmp_path) -> str:
    """A run of either kind."""
    if request.param == "local":
        return str(tmp_path / "run")
    uri: str = request.getfixturevalue("s3").uri(f"bucket/run-{next(_numbers)}")
    return uri


def config_of(**settings) -> TrainConfig:
    return build(TrainConfig, {"data": "d", "run": "r", **settings}, where="test")


def test_a_second_training_in_one_folder_is_refused_until_the_first_ends(tmp_path):
    run = tmp_path / "a/run"
    message = f"Another process is training in {run}. Wait for it, or give another"
    with locked_run(run), pytest.raises(ConfigError, match=message), locked_run(run):
        pass
    with locked_run(run):
        assert run.is_dir()


@pytest.mark.parametrize("run", ["file", "file/run"])
def test_a_run_that_is_a_file_is_refused(tmp_path, run):
    (tmp_path / "file").write_text("")
    message = f"run is {tmp_path / run}, which is not a folder"
    with pytest.raises(ConfigError, match=message), locked_run(tmp_path / run):
        pass


def test_a_run_in_a_bucket_that_is_missing_is_refused(s3):
    with pytest.raises(StorageError, match="s3://no-bucket/run cannot be made"), locked_run(s3.uri("no-bucket/run")):
        pass


def test_settings_are_written_so_that_they_can_be_read_back(location):
    config = config_of(embedding={"embedding_dim_by_table": {"main": 3}}, model={"hidden_units": [5]})
    assert read_settings(location) is None
    with locked_run(location) as run:
        write_settings(run.folder, config)
    stored = read_settings(location)
    assert stored is not None
    assert build(TrainConfig, stored, where="test") == config


def test_credentials_are_not_among_the_written_settings(location):
    with locked_run(location) as run:
        write_settings(run.folder, config_of(run="s3://KEY:hush@bucket/run?region=r"))
        text = run.folder.read_bytes("config.yaml")
    assert b"run: s3://bucket/run?region=r\n" in text
    assert b"hush" not in text
    assert b"KEY" not in text


def test_damaged_settings_are_named(location):
    with locked_run(location) as run:
        run.folder.write_bytes("config.yaml", b"[")
    with pytest.raises(ConfigError, match=f"^{run.folder}/config.yaml:1: this is not YAML.* Remove that file, and"):
        read_settings(location)


def saved(config: TrainConfig) -> dict:
    """Return the settings as a checkpoint holds them."""
    mapping = json.loads(json.dumps(to_mapping(config)))
    assert isinstance(mapping, dict)
    return mapping


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, "seed is 2 but 1 in"),
        ({"schedule": "cosine"}, "schedule is cosine but constant in"),
        ({"warmup_steps": 9}, "warmup_steps is 9 but 0 in"),
        ({"input": {"global_batch_records": 64}}, "global_batch_records is 64 but None in"),
        ({"input": {"shuffle": False}}, "shuffle is False but True in"),
        ({"embedding": {"embedding_dim": 8}}, "embedding_dim is 8 but 16 in"),
        ({"model": {"task_weights": [1, 8]}}, r"task_weights is \[1\.0, 8\.0\] but \[\] in"),
        ({"dense": {"dense_optimizer": "sgd"}}, "dense_optimizer is sgd but adam in"),
    ],
)
def test_a_changed_setting_that_shapes_the_state_is_named_with_both_values(change, message):
    checkpoint = Path("run/checkpoints/step-00000005")
    expected = f"{message} {checkpoint}, from which this run would resume. Set it back to .* --run"
    with pytest.raises(ConfigError, match=expected):
        check_settings_fit(config_of(**change), saved(config_of()), checkpoint)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"input": {"epochs": 9, "prefetch": 4}},
        {"max_steps": 7},
        {"log_every_steps": 3},
        {"evaluation": {"eval_every_steps": 5}},
        {"checkpoint": {"keep_checkpoints": 1}},
    ],
)
def test_settings_that_leave_the_state_alone_may_change(change):
    check_settings_fit(config_of(**change), saved(config_of()), Path("c"))


def test_the_log_of_a_killed_run_is_cut_at_its_checkpoint(location):
    with locked_run(location) as run:
        assert run.read_log(10) == []
        run.write_log([{"step": 5}])
        for step in (10, 15):
            run.append_log({"step": step})
    text = run.folder.read_bytes("train_log.jsonl")
    run.folder.write_bytes("train_log.jsonl", text + b'{"step": 2')  # killed in the middle of a line
    with locked_run(location) as run:
        assert run.read_log(10) == [{"step": 5}, {"step": 10}]
        run.write_log(run.read_log(10))
        run.append_log({"step": 12})
    assert run.folder.read_bytes("train_log.jsonl") == b'{"step": 5}\n{"step": 10}\n{"step": 12}\n'


def test_metrics_hold_the_newest_evaluation_first(location):
    with locked_run(location) as run:
        run.write_metrics([{"step": 1}, {"step": 2}])
        found = json.loads(run.folder.read_bytes("metrics.json"))
        assert found == {"newest": {"step": 2}, "evaluations": [{"step": 1}, {"step": 2}]}
        run.write_metrics([])
    assert json.loads(run.folder.read_bytes("metrics.json"))["newest"] == {}
    assert [name for name in run.folder.names() if name != ".lock"] == ["metrics.json"]


def test_what_grows_reaches_the_run_when_it_is_published_and_at_the_end(location):
    with locked_run(location) as run:
        run.write_log([{"step": 1}])
        run.tensorboard.mkdir()
        events = run.tensorboard / "events.1"
        events.write_bytes(b"one")
        run.publish()
        here = Folder.open(location)
        assert here.read_bytes("train_log.jsonl") == b'{"step": 1}\n'
        assert (here / "tensorboard").read_bytes("events.1") == b"one"
        run.append_log({"step": 2})
        with events.open("ab") as file:
            file.write(b" two")
    assert here.read_bytes("train_log.jsonl") == b'{"step": 1}\n{"step": 2}\n'
    assert (here / "tensorboard").read_bytes("events.1") == b"one two"


def test_event_files_of_an_earlier_process_stay(location):
    for name in ("events.1", "events.2"):
        with locked_run(location) as run:
            run.tensorboard.mkdir(exist_ok=True)
            (run.tensorboard / name).write_bytes(b"x")
    assert (run.folder / "tensorboard").names() == ["events.1", "events.2"]


def test_files_that_have_not_grown_are_not_copied_again(s3):
    with locked_run(s3.uri("bucket/once")) as run:
        run.write_log([{"step": 1}])
        run.publish()
        run.folder.delete_file("train_log.jsonl")
        run.publish()
        assert not run.folder.has("train_log.jsonl")


def fail_in(location: str, before: Callable[[], None] = lambda: None) -> Folder:
    """Write a log in a run and fail; return the run's folder."""
    with suppress(KeyError), locked_run(location) as run:
        run.write_log([{"step": 1}])
        before()
        raise KeyError("mine")
    return run.folder


def test_a_failed_training_publishes_what_it_has(s3):
    assert fail_in(s3.uri("bucket/failed")).has("train_log.jsonl")


def test_the_error_of_a_training_is_told_before_that_of_publishing():
    with S3Server() as server:
        server.make_bucket("bucket")
        fail_in(server.uri("bucket/run"), before=server.close)  # a StorageError would not be held back


def test_the_folder_of_this_machine_goes_with_the_run(s3):
    run = RunFolder(s3.uri("bucket/closed"))
    staging = run.tensorboard.parent
    assert staging.is_dir()
    run.close()
    run.close()
    assert not staging.exists()


def test_a_loss_window_takes_means_over_impressions_and_starts_anew():
    window = LossWindow(2)
    window.add([3.0, 1.0], 4)  # type: ignore[arg-type]
    window.add([5.0, 3.0], 12)  # type: ignore[arg-type]
    assert window.take() == [0.5, 0.25]
    assert window.take() == [0.0, 0.0]


def test_a_loss_window_goes_on_from_its_state():
    window, whole = LossWindow(1), LossWindow(1)
    window.add([0.1], 3)  # type: ignore[arg-type]
    window = LossWindow.from_state(json.loads(json.dumps(window.to_state())))
    whole.add([0.1], 3)  # type: ignore[arg-type]
    for each in (window, whole):
        each.add([0.2], 4)  # type: ignore[arg-type]
    assert window.take() == whole.take()


def test_what_was_chosen_and_why_stands_above_the_settings_and_stays_when_the_run_goes_on(tmp_path):
    run = RunFolder(tmp_path)
    write_settings(run.folder, config_of(), ["Chosen: epochs 3 (for 1,000 train impressions)"])
    write_settings(run.folder, config_of(seed=7))
    text = (tmp_path / "config.yaml").read_text()
    assert text.splitlines()[0] == "# Chosen: epochs 3 (for 1,000 train impressions)"
    assert text.count("#") == 1
    stored = read_settings(tmp_path)
    assert stored is not None
    assert stored["seed"] == 7


@pytest.mark.parametrize("name", ["a\x85b", "a\u2028", "a: b # c", "yes", "1e3", "a\nb"])
def test_a_path_of_any_characters_reads_back_as_it_was_written(tmp_path, name):
    place = str(tmp_path / "run")
    with locked_run(place) as run:
        write_settings(run.folder, config_of(data=name, run=place))
    settings = read_settings(place)
    assert settings is not None
    assert settings["data"] == name


def test_training_in_the_folder_of_a_data_set_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"is no run: its manifest\.json is that of a data set"), locked_run(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
