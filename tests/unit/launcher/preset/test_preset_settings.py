"""The presets' files: what they restate, and that the size of a log does not change it."""

from dataclasses import replace

import pytest

from esmm_dist.api.shipped_settings import settings_path, shipped_names
from esmm_dist.config import build
from esmm_dist.schema import load_schema
from esmm_dist.train.chosen_settings import choose_settings
from esmm_dist.train.config import TrainConfig
from esmm_dist.yaml_text import read_yaml
from launcher.preset.presets import PRESETS
from preprocess.config import PreprocessConfig
from tests.unit.train.test_chosen_settings import manifest_of


def train_settings(name: str) -> TrainConfig:
    stored = read_yaml(settings_path(name, TrainConfig))
    return build(TrainConfig, {"data": "data", "run": "run", **stored}, where=name)


def data_settings(name: str) -> PreprocessConfig:
    stored = read_yaml(settings_path(name, PreprocessConfig))
    return build(PreprocessConfig, {"raw": "raw", "out": "out", **stored}, where=name)


def chosen(name: str, impressions: int) -> TrainConfig:
    """Return what training settles on for a log of so many train impressions, 7.25 in a record."""
    manifest = replace(manifest_of(impressions), schema=load_schema(data_settings(name).schema or ""), lanes=64)
    train = replace(manifest.splits["train"], records=round(impressions / 7.25))
    return choose_settings(train_settings(name), replace(manifest, splits={"train": train})).config


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_file_for_each_of_the_two_commands(name):
    assert name in shipped_names(TrainConfig)
    assert name in shipped_names(PreprocessConfig)
    assert data_settings(name).validation_share > 0
    assert load_schema(data_settings(name).schema or "").labels == ("click", "conversion")


def test_deepmtl_is_what_the_command_line_of_its_readme_says():
    config = train_settings("deepmtl")
    assert len(load_schema(data_settings("deepmtl").schema or "").fields) == 19
    assert config.model.hidden_units == (256, 128)
    assert config.model.dropout == pytest.approx((1 - 0.8, 1 - 0.5))
    assert config.model.weights_for(2) == pytest.approx((0.3, 1 - 0.3))
    assert config.embedding.embedding_dim == 16
    assert config.embedding.embedding_l2 == 0.005
    assert (config.embedding.embedding_optimizer, config.dense.dense_optimizer) == ("adam", "adam")
    assert config.embedding.learning_rate == config.dense.learning_rate == 0.0001
    assert config.input.epochs == 1
    # Uniform in ±s has the standard deviation s / sqrt(3); Glorot's normal over [4,519,540, 16] has sqrt(2 / 4,519,556)
    assert config.embedding.start_range / 3**0.5 == pytest.approx((2 / 4_519_556) ** 0.5, rel=0.01)


def test_guidebook_is_one_network_of_six_of_its_twelve_fields():
    config, schema = train_settings("guidebook"), load_schema(data_settings("guidebook").schema or "")
    assert len(schema.fields) == 12
    assert [field.max_ids for field in schema.fields if field.multi_hot] == [100, 100]
    assert not any(field.weighted for field in schema.fields)
    assert set(config.model.fields) <= {field.name for field in schema.fields}
    assert len(config.model.fields) == 6
    assert (config.model.share_network, config.model.hidden_units) == (True, (128, 16))
    assert config.embedding.embedding_dim == 12
    assert config.embedding.learning_rate == config.dense.learning_rate == 0.01


@pytest.mark.parametrize(("name", "impressions"), [("deepmtl", 1024), ("guidebook", 10_000)])
def test_a_batch_holds_about_as_many_impressions_as_the_original(name, impressions):
    records = train_settings(name).input.global_batch_records or 0
    assert records % (data_settings(name).lanes or 0) == 0
    # Contexts of 58 impressions are 7 groups of 8 and one of 2: 58 / 8 = 7.25 in each; synthetic logs have 7.5
    assert data_settings(name).group_size == 8
    assert records * 7.25 == pytest.approx(impressions, rel=0.1)


@pytest.mark.parametrize("name", ["deepmtl", "guidebook"])
def test_what_is_restated_does_not_depend_on_the_size_of_the_log(name):
    config, small, large = train_settings(name), chosen(name, 10**4), chosen(name, 10**7)
    assert small == large
    assert small.model == replace(config.model, linear_lists=small.model.linear_lists)
    assert small.cooldown == 0


def test_aliccp_large_leaves_the_batch_to_the_log():
    part, whole = chosen("aliccp-large", 300_000), chosen("aliccp-large", 42_000_000)
    assert (whole.input.global_batch_records, whole.input.epochs) == (512, 1)
    assert (part.input.global_batch_records or 0) < 512
    assert part.model == whole.model
