"""The names of models, and the settings that each stands for."""

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.model.network_names import NETWORKS
from esmm_dist.model.objectives.config import objective_names
from launcher.compare.models import compared_models, first_seed
from tests.unit.launcher.compare.comparisons import compare_config

OWN = {"evaluation": {"eval_split": "validation", "baseline": False, "calibrate": "none", "eval_every_steps": 0}}


def models(tmp_path, **changes):
    return {each.name: each for each in compared_models(compare_config(tmp_path, **changes))}


def test_a_model_of_define_has_its_settings_and_what_trainings_of_a_comparison_do(tmp_path):
    assert models(tmp_path)["large"].settings == {
        "checkpoint": {"keep_checkpoints": 1},
        "model": {"hidden_units": [20]},
        **OWN,
    }


def test_a_file_is_a_model_of_its_name_or_of_a_given_one(tmp_path):
    (tmp_path / "wide.yaml").write_text("model: {hidden_units: [512]}")
    found = models(tmp_path, models=[f"{tmp_path}/wide.yaml", f"other={tmp_path}/wide.yaml", "small-data"])
    assert list(found) == ["wide", "other", "small-data"]
    assert found["wide"].config.model.hidden_units == found["other"].config.model.hidden_units == (512,)
    assert found["small-data"].config.model.hidden_units == (256,)


def test_a_model_that_stops_early_is_evaluated_meanwhile(tmp_path):
    settings = {"evaluation": {"early_stopping": 2}}
    assert "eval_every_steps" not in models(tmp_path, settings=settings)["small"].settings["evaluation"]


def test_every_objective_and_every_network_is_a_model(tmp_path):
    assert {"base", "esmm", "escm2-dr", "dcmt"} <= set(objective_names())
    for objective in objective_names():
        assert models(tmp_path, models=[objective])[objective].config.model.objective == objective
    assert "mlp" in NETWORKS
    for name in NETWORKS:
        assert models(tmp_path, models=[name])[name].config.model.network == (name,)


def test_a_model_that_is_known_may_have_settings_beside(tmp_path):
    define = {"base": {"model": {"task_weights": [1, 3]}}, "dcn": {"model": {"network": "dcn", "dropout": 0.3}}}
    found = models(tmp_path, models=["base", "dcn"], define=define)
    assert found["base"].config.model.objective == "base"
    assert found["base"].config.model.task_weights == (1, 3)
    assert found["dcn"].config.model.network == ("dcn",)
    assert found["dcn"].config.model.dropout == (0.3,)


def test_settings_of_all_go_over_their_file_and_below_those_of_a_model(tmp_path):
    (tmp_path / "all.yaml").write_text("{max_steps: 5, warmup_steps: 2, model: {hidden_units: [1], dropout: 0.1}}")
    settings = {"max_steps": 7, "seed": 4, "evaluation": {"calibrate": "platt"}}
    changes = {"train_config": f"{tmp_path}/all.yaml", "settings": settings}
    found = models(tmp_path, **changes)["small"].config
    assert (found.max_steps, found.warmup_steps) == (7, 2)
    assert found.model.hidden_units == (10,)
    assert found.evaluation.calibrate == "platt"
    assert first_seed(compare_config(tmp_path, **changes)) == 4
    assert "seed" not in models(tmp_path, **changes)["small"].settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["smal"]}, "models has 'smal', which is no model that esmm compare knows. Did you mean 'small'"),
        (
            {"models": ["base"], "define": {"base": {"model": {"objective": "esmm"}}}},
            "define.base has model.objective esmm, but the model of that name is the objective 'base'. Leave",
        ),
        ({"models": ["truth"], "define": {"truth": {}}}, "models has 'truth', which is a row of the tables"),
        ({"models": ["a="]}, "models has 'a=', which names no file. Give NAME=FILE"),
        (
            {"models": ["mine:Net"]},
            "A network of your own gets a name under define: {mine: {model: {network: 'mine:Net'}}}",
        ),
        ({"define": {"small": {}, "unused": {"model": {"units": 3}}, "large": {}}}, "define.unused: unknown setting"),
        ({"settings": {"seed": 2**31 - 2}}, "seed is 2147483648. Set 0 .. "),
        ({"models": ["small", "small"]}, "models has 'small' twice. Leave one out"),
        ({"models": ["a b=x.yaml"]}, "x.yaml"),
        ({"models": ["missing.yaml"]}, "missing.yaml"),
        ({"define": {"small": {"seed": 3}}}, "define.small has seed. All models train with the same seeds"),
        ({"define": {"small": {"model": {"units": 3}}}}, "define.small: unknown setting 'model.units'"),
        ({"settings": {"run": "r"}}, "settings has run. Each training has a run of its own"),
        ({"settings": {"evaluation": {"eval_split": "test"}}}, "settings has evaluation.eval_split. Set eval_split"),
        ({"settings": {"store": {"servers": "h:1"}}}, "settings has store.servers. Rows stay in the process"),
        ({"settings": {"max_steps": 0}}, "Model 'small': max_steps is 0. Set 1 or more"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError) as refused:
        models(tmp_path, **changes)
    assert message in str(refused.value)


def test_a_name_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("{}")
    with pytest.raises(ConfigError, match=r"models has '../x', which cannot be a folder's name"):
        models(tmp_path, models=[f"../x={tmp_path}/x.yaml"])


def test_a_file_under_a_known_name_adds_settings_beside_its_meaning(tmp_path):
    (tmp_path / "x.yaml").write_text("{model: {hidden_units: [9]}}")
    found = models(tmp_path, models=[f"base={tmp_path}/x.yaml"])["base"].config.model
    assert (found.objective, found.hidden_units) == ("base", (9,))
    (tmp_path / "x.yaml").write_text("{model: {objective: esmm}}")
    with pytest.raises(
        ConfigError, match="x.yaml has model.objective esmm, but the model of that name is the objective"
    ):
        models(tmp_path, models=[f"base={tmp_path}/x.yaml"])
