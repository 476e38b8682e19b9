"""Which settings a search may name, and what is checked before the first trial."""

import pytest

from esmm_dist.errors import ConfigError
from launcher.tune.setting_range import SettingRange
from launcher.tune.space import SearchSpace, label

DROPOUT = {"model.dropout": SettingRange(low=0.0, high=0.5)}


def space(search, settings=None):
    return SearchSpace.make(settings or {}, {path: SettingRange(**given) for path, given in search.items()})


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"model.droput": {"low": 0, "high": 1}}, "search.model.droput: unknown setting .* mean 'model.dropout'"),
        ({"dropout": {"low": 0, "high": 1}}, "Did you mean 'model.dropout'"),
        ({"model.embedding_dim": {"low": 1, "high": 2}}, "Did you mean 'embedding.embedding_dim'"),
        ({"cooldown.x": {"low": 0, "high": 1}}, "search.cooldown.x: unknown setting"),
        ({"model": {"choices": [1, 2]}}, "this is a group of settings. Name one of them: .*model.network"),
        ({"data": {"choices": ["a", "b"]}}, "search.data: this setting cannot be searched: all trials train on"),
        ({"run": {"choices": ["a", "b"]}}, "cannot be searched: each trial has a run of its own"),
        ({"seed": {"low": 1, "high": 9}}, "cannot be searched: a seed is luck: set seeds"),
        ({"evaluation.eval_split": {"choices": ["test", "train"]}}, "cannot be searched: trials are compared by"),
        ({"store.servers": {"choices": ["a", "b"]}}, "cannot be searched"),
        ({"model.hidden_units": {"low": 1, "high": 9}}, "takes no number, so it has no low and high. Give choices"),
        ({"embedding.embedding_dim": {"low": 1, "high": 9.5}}, "high is 9.5, but this setting takes whole numbers"),
        ({"model.hidden_units": {"choices": [[64], [64]]}}, r"choices has \[64\] twice"),
    ],
)
def test_a_setting_that_cannot_be_searched_is_refused_by_name(search, message):
    with pytest.raises(ConfigError, match=message):
        space(search)


@pytest.mark.parametrize(
    ("search", "settings", "message"),
    [
        ({"model.dropout": {"low": 0, "high": 1}}, {}, "search.model.dropout: 1 is refused. dropout is .1.0."),
        ({"model.dropout": {"low": -0.5, "high": 0.5}}, {}, "search.model.dropout: -0.5 is refused"),
        ({"embedding.embedding_dim": {"low": 0, "high": 4}}, {}, "search.embedding.embedding_dim: 0 is refused"),
        (
            {"schedule": {"choices": ["cosine", "sine"]}},
            {},
            "search.schedule: sine is refused. schedule is 'sine'. Did you mean",
        ),
        ({"model.hidden_units": {"choices": [[64], ["x"]]}}, {}, r"\[x\] is refused. model.hidden_units"),
        (  # each is accepted by itself
            {
                "embedding.embedding_optimizer": {"choices": ["ftrl", "adagrad"]},
                "embedding.ftrl_l1": {"low": 0, "high": 1},
            },
            {},
            "embedding.embedding_optimizer adagrad, embedding.ftrl_l1 1 is refused. ftrl_l1 is 1.0, which ftrl alone",
        ),
        (  # so is each of the first values
            {
                "embedding.embedding_optimizer": {"choices": ["adagrad", "ftrl"]},
                "embedding.ftrl_l1": {"low": 0.1, "high": 1},
            },
            {},
            "search: embedding.embedding_optimizer adagrad, embedding.ftrl_l1 0.1 is refused",
        ),
        ({"embedding.ttl_steps": {"low": 1, "high": 9}}, {}, "evict_every_steps is 0 and ttl_steps is set"),
    ],
)
def test_each_end_and_each_combination_of_ends_is_checked_by_the_settings_of_train(search, settings, message):
    with pytest.raises(ConfigError, match=message):
        space(search, settings).check()


def test_settings_that_need_each_other_can_be_searched_together():
    found = space(
        {"embedding.evict_every_steps": {"low": 10, "high": 90}, "embedding.ttl_steps": {"low": 1, "high": 9}}
    )
    found.check()
    values = {"embedding.evict_every_steps": 20, "embedding.ttl_steps": 3}
    assert found.config(values).embedding.ttl_steps == 3


def test_what_the_data_set_refuses_is_refused_before_the_first_trial():
    def only_even(config):
        if config.embedding.embedding_dim % 2:
            raise ConfigError("odd")

    space({"embedding.embedding_dim": {"low": 2, "high": 8, "step": 2}}).check(only_even)
    with pytest.raises(ConfigError, match="search.embedding.embedding_dim: 3 is refused. odd"):
        space({"embedding.embedding_dim": {"low": 2, "high": 8}}).check(only_even)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modle": {}}, "settings: unknown setting 'modle'. Did you mean 'model'"),
        ({"model": {"dropout": "much"}}, "settings: model.dropout: Input should be a valid number"),
        ({"run": "r"}, "settings has run. Each trial has a run of its own"),
        ({"data": "d"}, "settings has data. Set data beside settings"),
        ({"evaluation": {"eval_split": "test"}}, "settings has evaluation.eval_split. Trials are compared on"),
        ({"store": {"servers": "a:1"}}, "settings has store.servers"),
        ({"model": {"dropout": 0.1}}, "model.dropout is under settings and under search. Keep one of them"),
    ],
)
def test_shared_settings_are_checked_as_those_of_train(settings, message):
    with pytest.raises(ConfigError, match=message):
        SearchSpace.make(settings, DROPOUT)


def test_a_trial_has_the_shared_settings_and_its_own():
    found = space(
        {
            "model.hidden_units": {"choices": [[], [64]]},
            "model.dropout": {"low": 0, "high": 0.5},
            "cooldown": {"low": 0, "high": 1},
        },
        {"input": {"epochs": 2}, "model": {"linear_scale": 0}},
    )
    values = {"model.hidden_units": [64], "model.dropout": 0.25, "cooldown": 0.5}
    assert found.mapping(values) == {
        "input": {"epochs": 2},
        "model": {"linear_scale": 0, "hidden_units": [64], "dropout": 0.25},
        "cooldown": 0.5,
    }
    assert found.config(values).model.hidden_units == (64,)


def test_a_key_of_a_setting_that_is_a_mapping_can_be_searched():
    found = space({"embedding.embedding_dim_by_table.main.x": {"low": 2, "high": 4}})
    assert found.mapping({"embedding.embedding_dim_by_table.main.x": 3}) == {
        "embedding": {"embedding_dim_by_table": {"main.x": 3}}
    }
    assert [each.kind for each in found.searched] == ["int"]


@pytest.mark.parametrize(
    ("value", "text"),
    [([], "[]"), ([128, 64], "[128, 64]"), ("adagrad", "adagrad"), (0.05, "0.05"), (True, "true"), (None, "null")],
)
def test_a_value_is_named_as_a_file_has_it(value, text):
    assert label(value) == text


def test_a_choice_is_found_again_by_its_name():
    (searched,) = space({"model.hidden_units": {"choices": [[], [128, 64]]}}).searched
    assert searched.value("[128, 64]") == [128, 64]
    assert searched.value("[]") == []


def test_the_kind_of_a_number_follows_the_setting():
    found = space(
        {"embedding.embedding_dim": {"low": 4.0, "high": 8}, "embedding.embedding_learning_rate": {"low": 1, "high": 2}}
    )
    assert [(each.kind, each.range.bounds) for each in found.searched] == [("int", (4, 8)), ("float", (1, 2))]


def test_many_settings_are_checked_by_a_thousand_combinations():
    settings = ["admit_after", "ftrl_l2", "ftrl_l1", "embedding_l2", "start_scale", "start_accumulator"]
    search = {f"embedding.{name}": {"low": 1, "high": 2} for name in settings}
    search |= {f"dense.{name}": {"low": 1, "high": 2} for name in ("dense_learning_rate", "dense_adam_epsilon")}
    search |= {
        "model.linear_scale": {"low": 1, "high": 2},
        "cooldown": {"low": 0, "high": 1},
        "warmup_steps": {"low": 0, "high": 1},
    }
    tried = []
    space(search, {"embedding": {"embedding_optimizer": "ftrl"}}).check(tried.append)
    assert 1000 <= len(tried) < 2**11
