"""Schemas that a job takes along from the machine that submits it."""

import pytest
import yaml

from esmm_dist.errors import ConfigError, SchemaError
from esmm_dist.schema.presets_folder import preset_text
from launcher.cluster.carried_files import MOST_BYTES
from launcher.cluster.job_file import job_yaml, read_job
from launcher.cluster.objects.config import config_map
from tests.unit.launcher.cluster.jobs import NAMESPACE, job_text

SCHEMA = preset_text("guidebook")


@pytest.fixture
def job_file(tmp_path):
    (tmp_path / "shop.yaml").write_text(SCHEMA)

    def write(task="pipeline", schema="shop.yaml", **more):
        named = {"schema": schema} if task == "preprocess" else {"preprocess": {"schema": schema}}
        path = tmp_path / "job.yaml"
        path.write_text(job_text(task, **named, **more))
        return path

    return write


@pytest.mark.parametrize("task", ["pipeline", "preprocess"])
def test_a_schema_beside_the_job_file_travels_with_the_settings(job_file, task):
    job = read_job(job_file(task)).in_namespace(NAMESPACE)
    data = config_map(job)["data"]
    assert data["shop.yaml"] == SCHEMA
    settings = yaml.safe_load(data[f"{task}.yaml"])
    assert (settings["preprocess"] if task == "pipeline" else settings)["schema"] == "/run/esmm/config/shop.yaml"
    assert read_job(data["job.yaml"]) == job == read_job(job_yaml(job))  # without the machine's file


def test_a_schema_is_also_found_in_the_current_folder(job_file, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "own.yaml").write_text(SCHEMA)
    monkeypatch.chdir(tmp_path / "here")
    assert dict(read_job(job_file(schema="own.yaml")).files) == {"own.yaml": SCHEMA}


def test_a_shipped_schema_and_one_in_a_claim_are_not_taken_along(job_file):
    assert read_job(job_file(schema="guidebook")).files == {}
    job = read_job(job_file(schema="pvc://schemas/shop.yaml"))
    assert (job.files, "schemas" in job.claims) == ({}, True)
    assert job.settings["preprocess"]["schema"] == "/mnt/claims/schemas/shop.yaml"


def test_a_missing_schema_is_said_with_the_line_that_names_it(job_file):
    with pytest.raises(ConfigError, match=r"job.yaml:\d+: preprocess.schema is shops.yaml, and there is no such file"):
        read_job(job_file(schema="shops.yaml"))


def test_a_wrong_schema_is_found_before_anything_is_sent(job_file, tmp_path):
    (tmp_path / "shop.yaml").write_text(SCHEMA.replace("labels:", "label:"))
    with pytest.raises(SchemaError, match=r"shop.yaml.*label"):
        read_job(job_file())


def test_a_long_file_is_refused(job_file, tmp_path):
    (tmp_path / "shop.yaml").write_text(SCHEMA + "#" * MOST_BYTES)
    with pytest.raises(ConfigError, match="takes along 262,144 at most"):
        read_job(job_file())


@pytest.mark.parametrize("name", ["pipeline.yaml", "job.yaml"])
def test_a_name_that_the_job_needs_itself_is_refused(job_file, tmp_path, name):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / name).write_text(SCHEMA)
    with pytest.raises(ConfigError, match=rf"the file is called '{name}'. Call it otherwise"):
        read_job(job_file(schema=f"other/{name}"))


@pytest.mark.parametrize(
    ("files", "text"),
    [({"other.yaml": SCHEMA}, "files has 'other.yaml', but no setting names it"), ([1], "files is not a mapping")],
)
def test_files_that_nobody_reads_are_refused(job_file, files, text):
    with pytest.raises(ConfigError, match=text):
        read_job(job_file(files=files))
