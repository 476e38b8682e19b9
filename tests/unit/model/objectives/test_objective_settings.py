"""Settings of objectives: what is refused, and whether embeddings are shared."""

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.model.objectives.config import ObjectiveConfig, objective_names

SHARED = ("esmm", "escm2-ips", "escm2-dr", "dcmt")


@pytest.mark.parametrize("name", objective_names())
def test_embeddings_are_shared_where_the_paper_shares_them(name):
    assert ObjectiveConfig(objective=name).shares_embeddings == (name in SHARED)
    for given in (True, False):
        assert ObjectiveConfig(objective=name, share_embeddings=given).shares_embeddings is given


@pytest.mark.parametrize(("name", "heads"), [("esmm", 3), ("escm2-ips", 3), ("escm2-dr", 5), ("dcmt", 5)])
def test_rows_have_a_slice_a_head_where_nothing_is_shared(name, heads):
    config = ObjectiveConfig(objective=name)
    assert (config.num_heads(3), config.row_slices(3)) == (heads, 1)
    assert ObjectiveConfig(objective=name, share_embeddings=False).row_slices(3) == heads


@pytest.mark.parametrize(
    ("setting", "value", "users"),
    [
        ("oversampling_factor", 2.0, ["oversampling"]),
        ("propensity_floor", 0.2, ["unbias", "escm2-ips", "escm2-dr", "dcmt"]),
        ("risk_weight", 0.1, ["escm2-ips", "escm2-dr", "dcmt"]),
        ("imputation_weight", 0.1, ["escm2-dr"]),
        ("counterfactual_weight", 0.1, ["dcmt"]),
    ],
)
def test_a_setting_of_other_objectives_is_refused(setting, value, users):
    for name in objective_names():
        if name in users:
            ObjectiveConfig(objective=name, **{setting: value})
            continue
        with pytest.raises(
            ConfigError, match=f"{setting} is {value}, which .*{users[-1]} alone use.*objective is {name}"
        ):
            ObjectiveConfig(objective=name, **{setting: value})


def test_the_remedy_names_the_objectives():
    with pytest.raises(ConfigError, match=r"Leave risk_weight out, or set objective to escm2-ips, escm2-dr or dcmt\."):
        ObjectiveConfig(risk_weight=2.0)


@pytest.mark.parametrize(
    ("objective", "setting", "value"),
    [
        ("oversampling", "oversampling_factor", 0.5),
        ("unbias", "propensity_floor", 0.0),
        ("unbias", "propensity_floor", 1.5),
        ("dcmt", "risk_weight", -1.0),
        ("escm2-dr", "imputation_weight", -1.0),
        ("dcmt", "counterfactual_weight", -1.0),
    ],
)
def test_values_without_meaning_are_refused(objective, setting, value):
    with pytest.raises(ConfigError, match=f"{setting} is {value}. Set "):
        ObjectiveConfig(objective=objective, **{setting: value})
