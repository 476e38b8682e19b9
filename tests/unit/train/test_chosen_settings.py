"""What a training chooses from the size of its log."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from esmm_dist.config import build, to_mapping
from esmm_dist.errors import ConfigError
from esmm_dist.schema.fields import Field
from esmm_dist.schema.manifest import DatasetManifest, Split
from esmm_dist.train.chosen_settings import choose_settings
from esmm_dist.train.config import TrainConfig
from tests.support.tiny_dataset import tiny_schema

LARGE = {
    "embedding_learning_rate": 0.05,
    "start_scale": 0.01,
    "start_accumulator": 0.1,
    "linear_scale": 0.0,
    "linear_lists": None,
    "dense_learning_rate": 0.001,
    "cooldown": 0.2,
    "hidden_units": [256, 128],
}
"""What all results on large logs were reached with."""
SMALL = {
    "embedding_learning_rate": 0.01,  # 0.0245 / sqrt(6 fields)
    "start_scale": 0.001,
    "start_accumulator": 0.0144,
    "linear_scale": 12.0,
    "linear_lists": "unit",
    "dense_learning_rate": 0.0003,
    "cooldown": 0.65,
    "hidden_units": [256],
}


def manifest_of(impressions: int, *, fields: int = 6) -> DatasetManifest:
    train = Split(records=impressions, impressions=impressions, label_counts={}, broken_chains={}, shards=())
    return DatasetManifest(
        schema=tiny_schema(fields=tuple(Field(name=f"f{n}", owner="item") for n in range(fields))),
        compression="NONE",
        lanes=16,
        group_size=1,
        splits={"train": train},
        vocabulary_file="v",
        vocabulary_size=1,
    )


def config_of(**settings: Any) -> TrainConfig:
    return build(TrainConfig, {"data": Path("data"), "run": "run", **settings}, where="test")


def values_of(config: TrainConfig) -> dict[str, Any]:
    everything = to_mapping(config)
    flat = {**everything["embedding"], **everything["model"], **everything["dense"], "cooldown": everything["cooldown"]}
    return {name: flat[name] for name in LARGE}


@pytest.mark.parametrize(
    ("impressions", "expected"),
    [(1_000, SMALL), (33_485, SMALL), (199_999, SMALL), (200_000, LARGE), (42_300_135, LARGE)],
)
def test_the_size_of_the_log_decides_what_is_open(impressions, expected):
    chosen = choose_settings(config_of(), manifest_of(impressions))
    assert values_of(chosen.config) == expected
    assert choose_settings(chosen.config, manifest_of(impressions)).config == chosen.config


def test_the_schema_says_how_many_columns_a_table_has_unless_the_settings_do():
    fields = (
        Field(name="a", owner="item"),
        *(Field(name=n, owner="item", embedding_dim=d) for n, d in zip("bc", (8, 2), strict=True)),
    )
    manifest = replace(manifest_of(300_000), schema=tiny_schema(fields=fields))
    chosen = choose_settings(config_of(), manifest).config.embedding
    assert [chosen.dim_of(table) for table in ("main", "main-8", "main-2")] == [16, 8, 2]
    given = config_of(embedding={"embedding_dim_by_table": {"main-8": 4}})
    assert choose_settings(given, manifest).config.embedding.embedding_dim_by_table == {"main-8": 4, "main-2": 2}
    small = replace(manifest, splits=manifest_of(1_000).splits)  # two columns have no room for two labels and a vector
    assert values_of(choose_settings(config_of(), small).config) == LARGE


@pytest.mark.parametrize(
    ("model", "slices"),
    [
        ({}, 1),
        ({"objective": "base"}, 2),
        ({"objective": "base", "share_embeddings": True}, 1),
        ({"share_embeddings": False}, 2),
        ({"objective": "escm2-dr", "share_embeddings": False}, 3),  # click, conversion and the imputed error
        ({"objective": "dcmt"}, 1),
    ],
)
@pytest.mark.parametrize("impressions", [1_000, 300_000])
def test_a_row_has_a_slice_for_each_network_that_shares_no_embeddings(model, slices, impressions):
    manifest = manifest_of(impressions)
    chosen = choose_settings(config_of(model=model), manifest).config
    assert chosen.embedding.row_slices == slices
    assert chosen.embedding.dim_of("main") == 16 * slices
    assert choose_settings(chosen, manifest).config == chosen


def test_slices_are_chosen_with_a_line_that_says_why():
    chosen = choose_settings(config_of(model={"objective": "base"}), manifest_of(300_000))
    line = "Each of the 2 networks has columns of its own in every row: with objective base they share no embeddings"
    assert line in chosen.lines
    assert line not in choose_settings(chosen.config, manifest_of(300_000)).lines


def test_slices_that_do_not_fit_the_objective_are_refused():
    config = config_of(embedding={"row_slices": 3}, model={"objective": "base"})
    with pytest.raises(ConfigError, match="row_slices is 3, but with objective base .* a row has 2. Leave it out"):
        choose_settings(config, manifest_of(1_000))
    config = config_of(embedding={"embedding_optimizer": "rowwise_adagrad"}, model={"objective": "base"})
    with pytest.raises(ConfigError, match="Set embedding_optimizer to adagrad, or share_embeddings to true"):
        choose_settings(config, manifest_of(1_000))


def test_a_small_log_needs_room_beside_the_linear_term_of_each_slice():
    def chosen(columns, **model):
        config = config_of(embedding={"embedding_dim": columns}, model=model)
        return choose_settings(config, manifest_of(1_000)).config.model.linear_scale

    assert [chosen(columns) > 0 for columns in (2, 3)] == [False, True]
    assert [chosen(columns, objective="dcmt") > 0 for columns in (3, 4)] == [False, True]
    assert [chosen(columns, objective="base") > 0 for columns in (1, 2)] == [False, True]


def test_more_fields_learn_at_a_smaller_rate():
    assert values_of(choose_settings(config_of(), manifest_of(1_000, fields=24)).config) == {
        **SMALL,
        "embedding_learning_rate": 0.005,  # half of that of 6 fields
    }


@pytest.mark.parametrize(
    "given",
    [
        {"embedding": {"embedding_learning_rate": 0.02}},
        {"model": {"linear_scale": 0.0}},
        {"dense": {"dense_learning_rate": 0.01}},
    ],
)
def test_settings_that_go_together_are_chosen_together_or_are_those_of_a_large_log(given):
    chosen = choose_settings(config_of(**given), manifest_of(1_000)).config
    ((name, value),) = ((name, value) for group in given.values() for name, value in group.items())
    assert values_of(chosen) == {**LARGE, name: value}


@pytest.mark.parametrize(
    "given",
    [
        {"embedding": {"embedding_optimizer": "adam"}},  # the values are Adagrad's
        {"embedding": {"embedding_dim": 2}},  # two labels need two columns for the linear term, and towers some more
    ],
)
def test_what_the_values_of_small_logs_do_not_fit_learns_as_on_a_large_one(given):
    assert values_of(choose_settings(config_of(**given), manifest_of(1_000)).config) == LARGE


def test_settings_that_are_given_stay():
    given = config_of(cooldown=0.1, input={"epochs": 7, "global_batch_records": 32}, model={"hidden_units": []})
    chosen = choose_settings(given, manifest_of(1_000)).config
    assert values_of(chosen) == {**SMALL, "cooldown": 0.1, "hidden_units": []}
    assert (chosen.input.epochs, chosen.input.global_batch_records) == (7, 32)


def test_everything_that_was_chosen_is_said_with_its_reason_and_nothing_else():
    lines = choose_settings(config_of(input={"epochs": 2}), manifest_of(33_485)).lines
    assert lines == (
        "Chosen: global_batch_records 64 (for 33,485 train impressions)",
        "Chosen: embedding_learning_rate 0.01, start_scale 0.001, start_accumulator 0.0144, linear_scale 12.0, "
        "linear_lists unit, dense_learning_rate 0.0003, cooldown 0.65, hidden_units 256 (for 33,485 train impressions: "
        "those of a small log)",
    )
    resolved = choose_settings(config_of(), manifest_of(33_485)).config
    assert choose_settings(resolved, manifest_of(33_485)).lines == ()


@pytest.mark.parametrize(
    ("settings", "why", "has_accumulator"),
    [
        ({"embedding": {"embedding_optimizer": "adam"}}, "those of a small one fit adagrad, not adam", False),
        ({"embedding": {"embedding_optimizer": "sgd"}}, "those of a small one fit adagrad, not sgd", False),
        ({"embedding": {"embedding_optimizer": "ftrl"}}, "those of a small one fit adagrad, not ftrl", True),
        (
            {"model": {"linear_scale": 3.0}},
            "those of a small one go with each other, and linear_scale is given",
            True,
        ),
        (
            {"embedding": {"embedding_dim": 2}},
            "rows of 'main' have no column to spare for a linear term",
            True,
        ),
    ],
)
def test_a_small_log_that_is_learned_like_a_large_one_is_told_why_and_of_what_has_an_effect_alone(
    settings, why, has_accumulator
):
    lines = choose_settings(config_of(**settings), manifest_of(33_485)).lines
    [line] = [line for line in lines if "embedding_learning_rate" in line]
    assert line.endswith(f"(for 33,485 train impressions: those of a large log, for {why})")
    assert ("start_accumulator" in line) == has_accumulator
    [large] = [
        line
        for line in choose_settings(config_of(**settings), manifest_of(3_000_000)).lines
        if "embedding_learning_rate" in line
    ]
    assert large.endswith("those of a large log)")


@pytest.mark.parametrize("model", [{"linear_scale": 0.0}, {"linear_scale": 2.0}])
def test_no_linear_term_has_no_lists_in_it_whatever_the_other_run_had(model):
    start = to_mapping(choose_settings(config_of(), manifest_of(1_000)).config)
    chosen = choose_settings(replace(config_of(model=model), init_from="run"), manifest_of(1_000), start).config
    assert chosen.model.linear_lists == ("unit" if model["linear_scale"] else None)


def test_a_run_that_starts_from_anothers_weights_learns_as_that_one_did():
    start = to_mapping(choose_settings(config_of(), manifest_of(1_000)).config)
    config = replace(config_of(), init_from="s3://KEY:hush@bucket/run?region=r")
    chosen = choose_settings(config, manifest_of(1_000_000), start)
    assert values_of(chosen.config) == {**SMALL, "cooldown": 0.2}
    assert chosen.config.input.epochs == 1 + (1_000_000 / 512 < 2000)
    assert "bucket/run" in chosen.lines[1]
    assert "hush" not in chosen.lines[1]


def split_manifest(*splits: str) -> DatasetManifest:
    manifest = manifest_of(1_000)
    return replace(manifest, splits={name: manifest.splits["train"] for name in ("train", *splits)})


@pytest.mark.parametrize(
    ("splits", "eval_split", "chosen"),
    [
        (("validation", "test"), "validation", "platt"),
        (("validation", "test"), "test", "none"),
        (("test",), "test", "none"),
        ((), "validation", "none"),  # which is not evaluated, and says so
    ],
)
def test_a_validation_split_that_is_evaluated_calibrates(splits, eval_split, chosen):
    found = choose_settings(config_of(evaluation={"eval_split": eval_split}), split_manifest(*splits))
    assert found.config.evaluation.calibrate == chosen
    said = "Chosen: calibrate platt (on the validation split)"
    assert (said in found.lines) == (chosen == "platt")
    again = choose_settings(found.config, split_manifest(*splits))
    assert (again.config, again.lines) == (found.config, ())


def test_a_method_that_is_given_stays():
    for method in ("none", "platt", "isotonic"):
        evaluation = {"eval_split": "validation", "calibrate": method}
        found = choose_settings(config_of(evaluation=evaluation), split_manifest("validation"))
        assert found.config.evaluation.calibrate == method
        assert not any("calibrate" in line for line in found.lines)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_calibration_that_cannot_be_fitted_is_refused_with_what_helps(method):
    config = config_of(evaluation={"eval_split": "test", "calibrate": method})
    with pytest.raises(ConfigError, match=f"calibrate is {method}, and data has no validation split to fit it on"):
        choose_settings(config, split_manifest("test"))
    with pytest.raises(ConfigError, match="and eval_split is test. Set eval_split to validation, or calibrate to none"):
        choose_settings(config, split_manifest("validation", "test"))
    for evaluation in ({"eval_split": "validation", "calibrate": method}, {"eval_split": "test", "calibrate": "none"}):
        choose_settings(config_of(evaluation=evaluation), split_manifest("validation", "test"))  # what the errors say


@pytest.mark.parametrize(
    ("splits", "given", "expected"),
    [
        ({"validation", "test"}, None, "validation"),
        ({"validation"}, None, "validation"),
        ({"test"}, None, "test"),
        (set(), None, "test"),  # training says that there is none
        ({"validation", "test"}, "test", "test"),
        ({"test"}, "validation", "validation"),
    ],
)
def test_a_run_is_evaluated_on_validation_where_there_is_one_and_no_split_is_named(
    splits: set[str], given: str | None, expected: str
):
    manifest = manifest_of(1_000)
    manifest = replace(manifest, splits=manifest.splits | dict.fromkeys(splits, manifest.splits["train"]))
    chosen = choose_settings(config_of(evaluation={"eval_split": given}), manifest)
    assert chosen.config.evaluation.eval_split == expected
    said = [line for line in chosen.lines if "eval_split" in line]
    assert said == (
        [
            "Chosen: eval_split validation (the data set has one, so that test is not looked at while settings are "
            "chosen)"
        ]
        if given is None and expected == "validation"
        else []
    )
    assert choose_settings(chosen.config, manifest).lines == ()


def test_the_next_data_set_of_a_run_is_one_pass_with_the_batch_and_weights_of_the_run():
    first = choose_settings(config_of(), manifest_of(1_000)).config
    before = to_mapping(first)
    for impressions, cooldown in ((1_000, 0.0), (3_000_000, 0.2)):
        found = choose_settings(config_of(), manifest_of(impressions), before, continues=True)
        chosen = found.config
        assert (chosen.input.epochs, chosen.cooldown) == (1, cooldown)
        assert chosen.input.global_batch_records == first.input.global_batch_records
        assert (chosen.embedding, chosen.dense) == (first.embedding, first.dense)
        assert chosen.model == first.model
        assert f"Chosen: epochs 1, cooldown {cooldown} (for the next data set of a run)" in found.lines
        assert {"input.epochs", "cooldown", "model.hidden_units"} <= set(found.names)
    given = config_of(cooldown=0.5, input={"epochs": 4})
    chosen = choose_settings(given, manifest_of(1_000), before, continues=True).config
    assert (chosen.input.epochs, chosen.cooldown) == (4, 0.5)
