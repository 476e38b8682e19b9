"""The presets' lines, their folder and their report. The commands that they are made of are stood in for."""

import json
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.errors import ConfigError, InputDataError
from esmm_dist.progress import NoProgress
from launcher import cli
from launcher.command import CommandContext, Outcome
from launcher.preset.presets import PRESETS, plan
from launcher.preset.run import PresetConfig, preset_command

TASK = {"auc": 0.7, "auc_standard_error": 0.002, "log_loss": 0.25, "calibration": 1.01}
RESULTS: dict[str, dict[str, Any]] = {
    "preprocess": {"splits": {"train": {"impressions": 3000}, "test": {"impressions": 1000}}},
    "train": {"impressions": 6000, "seconds": 2.0, "step": 5000},
    "evaluate": {
        "ctr": TASK,
        "ctcvr": {**TASK, "auc": None},
        "split": "test",
        "baseline": {"auc": {"ctr": 0.7}, "auc_standard_error": {"ctr": 0.1}},
        "warnings": [],
    },
}


def preset(out, ran, *, raw="raw", train=(), name="deepmtl"):
    def run_line(line):
        ran.append(list(line))
        return Outcome(lines=[f"{line[0]} reports"], result=RESULTS[line[0]])

    context = CommandContext(progress=NoProgress(), run_line=run_line, settings_of_line=cli.settings_of_line)
    return preset_command(PresetConfig(name=name, raw=raw, out=out, train=train), context)


@pytest.mark.parametrize("name", PRESETS)
def test_every_line_of_a_preset_is_one_that_its_command_understands(name):
    for step in plan(name, "raw", Path("out"), ["--max-steps", "3"]):
        assert cli.settings_of_line(step.args) is not None, step.line


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_preprocesses_and_trains_by_the_shipped_settings_of_its_name(name):
    steps = plan(name, "raw", Path("out"))
    assert [step.name for step in steps] == ["preprocess", "train", "evaluate"]
    assert all(step.args[step.args.index("--config") + 1] == name for step in steps[:2])
    assert steps[2].args[-2:] == ["--split", "test"]


def test_settings_behind_the_dashes_go_to_the_training_and_json_does_not(tmp_path):
    ran: list[list[str]] = []
    preset(tmp_path / "out", ran, train=("--max-steps", "5", "--json", "--debug"))
    assert [line[0] for line in ran] == ["preprocess", "train", "evaluate"]
    assert ran[1][-2:] == ["--max-steps", "5"]
    assert all("--json" not in line and "--debug" not in line for line in ran)


def test_a_raw_log_in_an_object_store_is_the_line_of_preprocess(tmp_path):
    ran: list[list[str]] = []
    preset(tmp_path / "out", ran, raw="s3://bucket/raw")
    assert ran[0][1] == "s3://bucket/raw"


def test_the_report_has_the_metrics_of_each_task_and_the_time_of_each_step(tmp_path):
    outcome = preset(tmp_path / "out", [])
    lines = [line.split() for line in outcome.lines]
    assert ["ctr", "0.7000", "±", "0.0020", "0.25000", "1.010"] in lines
    assert ["ctcvr", "none", "±", "0.0020", "0.25000", "1.010"] in lines
    assert list(outcome.result["metrics"]) == ["ctr", "ctcvr"]
    assert list(outcome.result["seconds"]) == ["preprocess", "train", "evaluate"]
    assert any(line.startswith("train") and "3 k" in line for line in outcome.lines)


def lines_with_steps(tmp_path, monkeypatch, steps, **of_command):
    monkeypatch.setitem(RESULTS["train"], "step", steps)
    return preset(tmp_path / "out", [], **of_command).lines


def test_a_log_that_is_too_small_for_a_preset_is_told_with_what_helps(tmp_path, monkeypatch):
    lines = lines_with_steps(tmp_path, monkeypatch, 43, train=("--seed", "2"))
    place = next(n for n, line in enumerate(lines) if line.startswith("43 steps are too few: deepmtl is meant for"))
    assert lines[place + 1].endswith(" esmm preset deepmtl raw OTHER_OUT -- --seed 2 --epochs 10")
    assert lines[place + 2].endswith(" esmm preset aliccp-large raw OTHER_OUT")


@pytest.mark.parametrize(
    ("steps", "of_command"),
    [
        (2000, {}),
        (43, {"train": ("--max-steps", "43")}),  # chosen
        (43, {"name": "aliccp-large"}),  # its settings are those of the log's size
    ],
)
def test_enough_steps_are_not_spoken_of(tmp_path, monkeypatch, steps, of_command):
    assert not any("too few" in line for line in lines_with_steps(tmp_path, monkeypatch, steps, **of_command))


@pytest.mark.parametrize("of_command", [{"train": ("--epochs", "10")}, {"name": "guidebook"}])
def test_more_passes_are_a_remedy_only_where_they_help(tmp_path, monkeypatch, of_command):
    lines = lines_with_steps(tmp_path, monkeypatch, 43, **of_command)
    assert any("too few" in line for line in lines)
    assert not any("more passes" in line for line in lines)


def test_a_log_of_another_form_is_no_matter_of_a_schema_setting(tmp_path):
    (tmp_path / "raw").mkdir()
    context = CommandContext(progress=NoProgress(), run_line=cli.run_line, settings_of_line=cli.settings_of_line)
    settings = PresetConfig(name="deepmtl", raw=str(tmp_path / "raw"), out=tmp_path / "out")
    with pytest.raises(
        InputDataError, match="no train log in the Ali-CCP form.*A preset takes no other form"
    ) as caught:
        preset_command(settings, context)
    assert "source.form" not in str(caught.value)


def test_the_same_command_shows_the_same_report_and_runs_nothing(tmp_path):
    first, ran = preset(tmp_path / "out", []), []
    assert preset(tmp_path / "out", ran).lines == first.lines
    assert ran == []


def test_a_folder_of_the_preset_with_other_settings_is_refused_with_both_lines(tmp_path):
    preset(tmp_path / "out", [])
    ran: list[list[str]] = []
    with pytest.raises(ConfigError, match=r"out was begun with '.*run', and this command has '.*run --seed 2'\. Give"):
        preset(tmp_path / "out", ran, train=("--seed", "2"))
    with pytest.raises(ConfigError, match=r"begun with '.*--config deepmtl', and .* '.*--config guidebook'"):
        preset(tmp_path / "out", ran, name="guidebook")
    assert ran == []


def test_a_wrong_raw_log_may_be_corrected_in_the_same_folder(tmp_path):
    def fails(line):
        raise InputDataError("nowhere is not a folder")

    context = CommandContext(progress=NoProgress(), run_line=fails, settings_of_line=cli.settings_of_line)
    with pytest.raises(InputDataError):
        preset_command(PresetConfig(name="deepmtl", raw="nowhere", out=tmp_path / "out"), context)
    assert json.loads((tmp_path / "out" / "preset.json").read_text())["lines"][0].startswith("esmm preprocess nowhere")
    assert preset(tmp_path / "out", []).done
    assert json.loads((tmp_path / "out" / "preset.json").read_text())["lines"][0].startswith("esmm preprocess raw")


def test_but_not_where_preprocess_has_begun(tmp_path):
    def killed(line):
        (tmp_path / "out" / "data").mkdir()
        raise KeyboardInterrupt

    context = CommandContext(progress=NoProgress(), run_line=killed, settings_of_line=cli.settings_of_line)
    with pytest.raises(KeyboardInterrupt):
        preset_command(PresetConfig(name="deepmtl", raw="other", out=tmp_path / "out"), context)
    with pytest.raises(ConfigError, match="was begun with 'esmm preprocess other"):
        preset(tmp_path / "out", [])


@pytest.mark.parametrize("words", [["--data", "x"], ["--max-steps", "3", "--run=x"], ["--config", "small-data"]])
def test_what_the_preset_gives_itself_is_refused_behind_the_dashes(words):
    with pytest.raises(ConfigError, match="stands behind --, but a preset gives it itself"):
        PresetConfig(name="deepmtl", raw="raw", out=Path("out"), train=tuple(words))


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match="is not the folder of a preset. Give a new folder: esmm preset deepmtl RAW"):
        preset(tmp_path, [])


def test_a_wrong_setting_of_the_training_shows_before_the_first_step(tmp_path):
    ran: list[list[str]] = []
    with pytest.raises(ConfigError, match="Unknown flag '--max-stesp'. Did you mean '--max-steps'"):
        preset(tmp_path / "out", ran, train=("--max-stesp", "5"))
    assert ran == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--network", "ple", "--objective", "base"], "network is ple, which is one network for all labels, but with"),
        (["--fields", "nowhere"], "nowhere"),
        (["--global-batch-records", "100"], "the data set has 64 lanes"),
        (["--gauc-field", "nowhere"], "gauc_field is 'nowhere'"),
    ],
)
def test_a_model_that_cannot_be_made_shows_before_the_first_step(tmp_path, flags, message):
    ran: list[list[str]] = []
    with pytest.raises(ConfigError, match=message):
        preset(tmp_path / "out", ran, train=flags)
    assert ran == []
    assert not (tmp_path / "out").exists()


def test_settings_of_a_training_that_has_failed_may_be_corrected(tmp_path):
    ran: list[list[str]] = []

    def train_fails(line):
        if line[0] == "train":
            raise ConfigError("the loss is not finite")
        ran.append(list(line))
        return Outcome(lines=[], result=RESULTS[line[0]])

    context = CommandContext(progress=NoProgress(), run_line=train_fails, settings_of_line=cli.settings_of_line)
    settings = PresetConfig(name="deepmtl", raw="raw", out=tmp_path / "out", train=("--seed", "2"))
    with pytest.raises(ConfigError, match="not finite"):
        preset_command(settings, context)
    assert preset(tmp_path / "out", ran, train=("--seed", "3")).done
    assert [line[0] for line in ran] == ["preprocess", "train", "evaluate"]
    assert json.loads((tmp_path / "out" / "preset.json").read_text())["lines"][1].endswith("--seed 3")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["deepmlt"], "There is no preset 'deepmlt'. Did you mean 'deepmtl'"),
        (["deepmtl"], "RAW and OUT are missing. .*: esmm preset deepmtl RAW OUT"),
        (["deepmtl", "raw"], "OUT is missing"),
        (
            ["deepmtl", "raw", "out", "--max-steps", "10"],
            r"'--max-steps' stands before --\. Put it behind: .* -- --max",
        ),
        (["deepmtl", "raw", "out", "--no-shuffle"], "'--no-shuffle' stands before --"),
        (["deepmtl", "raw", "out", "--nosuch"], "Unknown flag '--nosuch'"),
    ],
)
def test_what_is_missing_or_misspelt_is_said(words, message):
    with pytest.raises(ConfigError, match=message):
        cli.run_line(["preset", *words])


def test_without_a_name_the_presets_are_listed():
    outcome = cli.run_line(["preset"])
    assert list(outcome.result["presets"]) == sorted(PRESETS)
    assert [line.split()[0] for line in outcome.lines[: len(PRESETS)]] == sorted(PRESETS)
    files = [Path(line.split()[-1]) for line in outcome.lines if line.endswith("deepmtl.yaml")]
    assert len(files) == 2
    assert all("# " in file.read_text() for file in files)
