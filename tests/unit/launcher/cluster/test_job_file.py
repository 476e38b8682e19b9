"""Job files: what is read, and what each mistake is answered with."""

from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from esmm_dist.errors import ConfigError
from launcher.cluster.job_file import job_yaml, read_job
from launcher.commands import COMMANDS
from launcher.settings.print_settings import settings_yaml
from launcher.settings.resolve import resolve
from launcher.tasks import TASKS
from tests.unit.launcher.cluster.jobs import NAMESPACE, TASK_SETTINGS, job_text, make_job, rendered, templates

TEXT = """\
name: nightly
task: train
data: pvc://clicks/data
run: s3://models/nightly?region=eu-west-1
embedding:
  embedding_dim: 18
cluster:
  image: esmm:1.0
  servers: {count: 2, cpu: 500m, memory: 1Gi}
  workers:
    min: 1
    max: 4
"""


def _refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        read_job(text)
    return str(refused.value)


@pytest.mark.parametrize(
    ("task", "setting", "other"),
    [
        ("preprocess", "out", "raw"),
        ("evaluate", "run", "data"),
        ("predict", "out", "data"),
        ("export", "out", "run"),
        ("stats", "html", "data"),
    ],
)
def test_no_task_reads_where_it_writes(task, setting, other):
    more = {setting: "pvc://a/b", other: "pvc://a/b/"}
    message = _refusal(job_text(task, **more))  # type: ignore[arg-type]
    assert "and so is" in message
    assert "Give each a place of its own" in message


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_read(task):
    job = read_job(job_text(task))
    assert (job.name, job.task, job.namespace) == ("nightly", task, None)
    assert job.in_namespace(NAMESPACE).known_namespace == NAMESPACE


def test_a_data_set_that_another_one_continues_gives_pods_its_settings():
    """Defaults in the pods' settings would override those of yesterday's data set, which only pods see."""
    like: dict[str, Any] = {
        "schema": None,
        "like": "pvc://clicks/yesterday",
        "vocabulary": "s3://models/run",
        "lanes": 4,
    }
    job = read_job(job_text("preprocess", **like))
    deciding = ("min_count", "group_size", "lanes", "seed", "compression", "shard_bytes")
    given = {"raw", "out", "schema", "like", "vocabulary", *deciding}
    assert {key: value for key, value in job.settings.items() if key in given} == {
        "raw": "/mnt/claims/clicks/raw",
        "out": "/mnt/claims/clicks/data",
        "schema": None,
        "like": "/mnt/claims/clicks/yesterday",
        "vocabulary": "s3://models/run",
        "lanes": 4,
    }


def test_settings_of_the_task_are_those_of_the_command_line_with_places_as_pods_see_them():
    job = read_job(TEXT)
    assert job.settings["embedding"]["embedding_dim"] == 18
    assert job.settings["embedding"]["embedding_learning_rate"] is None  # chosen where the data set is seen
    assert job.settings["embedding"]["embedding_optimizer"] == "adagrad"
    assert job.settings["data"] == "/mnt/claims/clicks/data"
    assert job.run == "s3://models/nightly?region=eu-west-1"
    assert job.claims == ("clicks",)


def test_what_print_config_prints_is_a_job_file_once_a_name_a_task_and_a_cluster_are_added():
    resolved = resolve(COMMANDS["train"], ["--data", "D", "--run", "R", "--print-config"])
    printed = settings_yaml(resolved.cls, resolved.values).replace("data: D", "data: pvc://c/d")
    printed = printed.replace("run: R", "run: pvc://c/r")
    job = read_job(printed + "name: a\ntask: train\ncluster: {image: b}\n")
    assert (job.settings["data"], job.run) == ("/mnt/claims/c/d", "/mnt/claims/c/r")


def test_a_resolved_job_is_read_back_the_same():
    job = make_job(cluster={"workers": {"min": 2, "max": 5, "start": 3}, "claims": {"clicks": {"size": 1000}}})
    assert read_job(job_yaml(job)) == job
    assert yaml.safe_load(job_yaml(make_job(cluster={"workers": {"max": 5}})))["cluster"]["workers"]["start"] == 5


def test_a_task_of_one_pod_is_read_back_the_same():
    job = make_job("preprocess", cluster={"pod": {"cpu": 7.5}})
    assert read_job(job_yaml(job)) == job


@given(st.dictionaries(st.sampled_from("ABC"), st.text(st.characters(exclude_characters="\0"))))
@example({"A": "a\x85b", "B": "\u2028", "C": "y"})
@settings(max_examples=30, deadline=None)
def test_every_text_in_a_variable_survives_the_config_map(env):
    job = make_job(cluster={"env": env, "workers": {"start": 1}})
    assert job.cluster.env == env
    assert read_job(job_yaml(job)) == job


def test_another_number_of_servers_is_checked_and_kept():
    assert read_job(job_yaml(make_job().with_servers(4))).cluster.servers.count == 4
    with pytest.raises(ConfigError, match="count is 0"):
        make_job().with_servers(0)


def test_preprocess_gets_as_many_processes_as_its_pod_has_cores():
    assert make_job("preprocess", cluster={"pod": {"cpu": 7.5}}).settings["workers"] == 7
    assert make_job("preprocess", cluster={"pod": {"cpu": "500m"}}).settings["workers"] == 1
    assert make_job("preprocess", workers=3).settings["workers"] == 3


def test_a_file_is_named_in_its_errors(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(TEXT.replace("image", "imag"))
    with pytest.raises(ConfigError, match=r"job\.yaml:8: unknown setting 'cluster\.imag'\. Did you mean 'image'"):
        read_job(path)
    with pytest.raises(ConfigError, match="Cannot read .*none"):
        read_job(tmp_path / "none")
    path.write_bytes(b"name: \xff")
    with pytest.raises(ConfigError, match=r"job\.yaml is not UTF-8 text \(byte 6\)"):
        read_job(path)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("name: nightly", "name: Nightly", 1, "name is 'Nightly'. Use 1 .. 40 lower case letters"),
        ("name: nightly", "name: 5", 1, "name is 5"),
        ("name: nightly", f"name: {'a' * 41}", 1, "Use 1 .. 40"),
        ("name: nightly", "name: nightly-status", 1, "ConfigMap nightly-status is where a job 'nightly' would publish"),
        ("name: nightly\n", "", 1, "name is missing"),
        ("task: train\n", "", 1, "task is missing"),
        ("task: train", "task: trian", 2, "there is no task 'trian'. Did you mean 'train'?"),
        ("task: train", "task: train\nnamespace: A", 3, "namespace is 'A'"),
        ("data: pvc://clicks/data\n", "", 1, "data is missing, and has no default"),
        ("run: s3", "runn: s3", 4, "unknown setting 'runn'. Did you mean 'run'?"),
        ("pvc://clicks/data", "data", 3, "data is data, a path of this machine, which pods do not see. Write pvc://"),
        ("pvc://clicks/data", "s3://key:secret@a/b", 3, "parts that may be credentials"),
        ("pvc://clicks/data", "http://a/b", 3, "nothing here opens http://. Write pvc://CLAIM/PATH or s3://BUCKET"),
        ("pvc://clicks/data", "pvc://Clicks/data", 3, "'Clicks' cannot be the name of a claim"),
        ("pvc://clicks/data", "pvc:///data", 3, "'' cannot be the name of a claim"),
        ("pvc://clicks/data", "pvc://clicks/../x", 3, "without '.' and '..'"),
        ("s3://models/nightly?region=eu-west-1", "/tmp/run", 4, "run is /tmp/run, a path of this machine"),
        ("s3://models/nightly?region=eu-west-1", "file:///tmp/run", 4, "a path of this machine"),
        ("s3://models/nightly?region=eu-west-1", "http://a/b", 4, "nothing here opens http://"),
        ("s3://models", "s3://key:secret@models", 4, "parts that may be credentials"),
        ("embedding_dim: 18", "embedding_dims: 18", 6, "'embedding.embedding_dims'. Did you mean 'embedding_dim'?"),
        ("embedding_dim: 18", "embedding_dim: 0", 6, "embedding: embedding_dim is 0"),
        ("embedding_dim: 18", "embedding_dim: x", 6, "embedding.embedding_dim: Input should be a valid integer"),
        ("embedding:\n  embedding_dim: 18", "embedding: 3", 5, "embedding is 3, not a mapping"),
        ("embedding:\n", "store: {servers: 'a:1'}\nembedding:\n", 5, "store.servers is decided by the cluster section"),
        ("embedding:\n", "store:\n  tls_ca: a\nembedding:\n", 6, "store.tls_ca is decided by the cluster section"),
        ("embedding:\n", "run: x\nembedding:\n", 5, "run is set in line 4 already"),
        ("  image: esmm:1.0\n", "", 7, "cluster.image is missing"),
        ("image: esmm:1.0", "image: esmm 1.0", 8, "cluster: image is 'esmm 1.0'"),
        ("count: 2", "count: 0", 9, "cluster.servers: count is 0. Set 1 .. 512 servers"),
        ("cpu: 500m", "cpu: 500x", 9, "cluster.servers: cpu is '500x', which is no quantity"),
        ("cpu: 500m", "cpu: 0", 9, "cpu is 0. Set more than 0"),
        ("cpu: 500m", "cpu: 0.1m", 9, "Set 1m"),
        ("cpu: 500m", "cpu: true", 9, "cluster.servers.cpu is true, but it takes neither true nor false"),
        ("memory: 1Gi", "memory: 1gb", 9, "memory is '1gb', which is no quantity"),
        ("memory: 1Gi", "memory: 4", 9, "less than 64Mi. Write the unit"),
        ("memory: 1Gi", "memory: 4m", 9, "a fraction of a byte"),
        ("memory: 1Gi", "storage: 0", 9, "storage is 0"),
        ("memory: 1Gi", "max_unavailable: -1", 9, "max_unavailable is -1"),
        ("min: 1", "min: 5", 11, "min is 5, start is 4, max is 4. Set 1 <= min <= start <= max"),
        ("min: 1", "start: 5", 11, "start is 5, max is 4"),
        ("min: 1", "gpus: 0.5", 11, "cluster.workers.gpus: Input should be a valid integer"),
        ("min: 1", "gpus: 2", 11, "gpus is 2. Set 0 or 1; for more GPUs set more workers"),
        ("min: 1", "gpu_resource: gpu", 11, "gpu_resource is 'gpu'. Write VENDOR/KIND"),
        ("min: 1", "max_unavailable: -1", 11, "max_unavailable is -1"),
        ("  workers:\n", "  pod: {}\n  workers:\n", 10, "cluster.pod is for tasks of one pod"),
        ("  workers:\n", "  claims: {other: {size: 1Gi}}\n  workers:\n", 10, "Settings name: clicks"),
        ("  workers:\n", "  claims: {clicks: {size: 1Gx}}\n  workers:\n", 10, "size is '1Gx'"),
        ("  workers:\n", "  claims: {c_d: {size: 1Gi}}\n  workers:\n", 10, "claims names 'c_d'"),
        ("  workers:\n", "  claims: {clicks: {size: 1Gi, storage_class: A}}\n  workers:\n", 10, "storage_class is 'A'"),
        ("  workers:\n", "  claims: {c.d: {size: 1Gi}}\n  workers:\n", 10, "Use 1 .. 57"),
        ("  workers:\n", "  env: {A: 1}\n  workers:\n", 10, "cluster.env.A: Input should be a valid string (got 1)."),
        ("  workers:\n", "  env: {A-B: x}\n  workers:\n", 10, "env names 'A-B'"),
        ("  workers:\n", "  env: {HOME: x}\n  workers:\n", 10, "which every pod sets by itself"),
        ("  workers:\n", "  pod_labels: {a b: x}\n  workers:\n", 10, "which is no label"),
        ("  workers:\n", "  queue_labels: {app.kubernetes.io/name: x}\n  workers:\n", 10, "finds its pods"),
        ("  workers:\n", "  pod_annotations: {a/b/c: x}\n  workers:\n", 10, "which is no key"),
        ("  workers:\n", "  tolerations: [{value: x}]\n  workers:\n", 10, "cluster.tolerations[0]: key is missing"),
        ("  workers:\n", "  tolerations: [{key: a b, value: x}]\n  workers:\n", 10, "which no taint has"),
        ("  workers:\n", "  tolerations: [{key: a, value: 'x\n'}]\n  workers:\n", 10, "which no taint has"),
        ("  workers:\n", "  env: {A: 'x', B: \"\\0\"}\n  workers:\n", 10, "cluster.env.B has the character NUL"),
        ("  workers:\n", "  env:\n    \"\\0\": x\n  workers:\n", 11, "cluster.env has the character NUL"),
        ("  workers:\n", "  env: {A: \"\\ud800\"}\n  workers:\n", 10, "cluster.env.A has half a character"),
        ("image: esmm:1.0", "image: esmm\0", 8, "YAML holds no character U+0000. Remove it"),
        ("run: s3://models/nightly?region=eu-west-1", "run: !!binary AAAA", 4, "run has bytes (!!binary). Write it as"),
        ("pvc://clicks/data", '"pvc://clicks/a\\nb"', 3, "data is 'pvc://clicks/a\\nb', with line breaks"),
        ("s3://models/nightly?region=eu-west-1", '"s3://models/\\x07"', 4, "or other characters that do not print"),
        ("s3://models/nightly?region=eu-west-1", "pvc://clicks//data/", 4, "and so is data: the files of one"),
        ("embedding_dim: 18", f"embedding_dim: [{'1,' * 100_001}]", 6, "more than 100,000 values up to here"),
        ("  workers:\n", "  tolerations: [{operator: Exists, value: x}]\n  workers:\n", 10, "Exists asks for none"),
        ("  workers:\n", "  tolerations: [{key: a, seconds: 3}]\n  workers:\n", 10, "only effect: NoExecute has"),
        ("  workers:\n", "  pull_secrets: [A]\n  workers:\n", 10, "pull_secrets names 'A'"),
        ("  workers:\n", "  metrics_namespace: A\n  workers:\n", 10, "metrics_namespace is 'A'"),
        ("  workers:\n", "  service_monitor: true\n  workers:\n", 10, "lets no Prometheus in. Set metrics_namespace"),
        ("  workers:\n", "  grace_seconds: 0\n  workers:\n", 10, "grace_seconds is 0"),
        ("  workers:\n", "  stall_seconds: .inf\n  workers:\n", 10, "stall_seconds is inf"),
        ("  workers:\n", "  interface: a b\n  workers:\n", 10, "interface is 'a b'"),
        ("  workers:\n", "  backend: mpi\n  workers:\n", 10, "backend is 'mpi'. Did you mean 'mpijob'? Known:"),
        ("  workers:", "  workers: [", 12, "this is not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_with_its_line_and_what_would_be_right(old, new, line, says):
    assert old in TEXT
    message = _refusal(TEXT.replace(old, new, 1))
    assert message.startswith(f"job.yaml:{line}: "), message
    assert says in message


def test_a_file_without_a_cluster_is_refused():
    assert "cluster is missing: where the job runs" in _refusal(TEXT.partition("cluster:")[0])


def test_a_list_is_no_job():
    assert "not a mapping" in _refusal("- a")


def test_settings_of_a_training_mean_nothing_to_a_task_of_one_pod():
    message = _refusal(job_text("evaluate", cluster={"workers": {"max": 2}}))
    assert "cluster.workers is for task: train" in message
    assert "cluster.pod" in message
    message = _refusal(job_text("evaluate", cluster={"metrics_namespace": "monitoring"}))
    assert "cluster.metrics_namespace is for task: train" in message


def test_metrics_that_no_policy_guards_need_no_namespace():
    assert make_job(cluster={"service_monitor": True, "network_policy": False}).cluster.metrics_namespace is None


@pytest.mark.parametrize(
    ("end", "whose"), [("server", "servers"), ("worker", "workers"), ("serving", "pods that answer")]
)
def test_the_service_of_an_mpijob_is_no_other_jobs(end, whose):
    message = _refusal(job_text(name=f"nightly-{end}", cluster={"backend": "mpijob"}))
    assert message.startswith(f"job.yaml:1: name ends with '-{end}'")
    assert f"another job's {whose}" in message
    assert make_job(name=f"nightly-{end}").name == f"nightly-{end}"


def test_a_preprocess_fits_its_pod():
    message = _refusal(job_text("preprocess", memory_gb=4.0, cluster={"pod": {"memory": "3Gi"}}))
    assert "memory_gb is 4.0, but the pod has cluster.pod.memory: 3Gi, 3.22 GB" in message
    assert "retries is -1" in _refusal(job_text("preprocess", cluster={"pod": {"retries": -1}}))


def test_data_in_an_object_store_are_fetched_for_a_training_and_left_to_the_commands_of_the_other_tasks():
    job = make_job(data="s3://clicks/data?region=eu-west-1")
    assert job.fetched == {"data": "s3://clicks/data?region=eu-west-1"}
    assert job.settings["data"] == "/mnt/fetched/data"
    assert read_job(job_yaml(job)).fetched == job.fetched
    other = make_job("preprocess", raw="s3://clicks/raw", out="gs://clicks/data")
    assert other.fetched == {}
    assert (other.settings["raw"], other.settings["out"]) == ("s3://clicks/raw", "gs://clicks/data")
    assert make_job("predict", data="s3://a/data", out="s3://a/x.parquet").settings["out"] == "s3://a/x.parquet"


def test_scratch_of_a_task_is_in_a_claim_that_is_mounted():
    job = make_job("preprocess", raw="s3://clicks/raw", cluster={"pod": {"scratch": "pvc://work/a"}})
    assert job.claims == ("clicks", "work")
    for place, told in (("s3://a/b", "Copy it into a claim"), ("/tmp", "a path of this machine"), ("pvc://A/b", "'A'")):
        text = job_text("preprocess", cluster={"pod": {"scratch": place}})
        assert f"scratch is {place}" in _refusal(text)
        assert told in _refusal(text)


def test_a_schema_is_a_shipped_name_or_in_a_claim():
    assert make_job("preprocess").settings["schema"] == "aliccp"
    job = make_job("preprocess", schema="pvc://clicks/my.yaml")
    assert job.settings["schema"] == "/mnt/claims/clicks/my.yaml"
    assert "schema is my.yaml, a path of this machine" in _refusal(job_text("preprocess", schema="my.yaml"))


@pytest.mark.parametrize("task", ["evaluate", "predict"])
def test_several_processes_of_one_pod_share_a_task_by_esmm_local(task):
    job = make_job(task, data="s3://clicks/data", cluster={"pod": {"workers": 3}})
    pod = templates(rendered(job))[0]["spec"]
    [container], [fetch] = pod["containers"], pod["initContainers"]
    assert container["args"][:6] == ["local", "--workers", "3", "--servers", "1", "--"]
    assert container["args"][6:] == [task, "--config", f"/run/esmm/config/{task}.yaml"]
    assert (fetch["args"], job.settings["data"]) == (
        ["copy", "s3://clicks/data", "/mnt/fetched/data"],
        "/mnt/fetched/data",
    )
    assert read_job(job_yaml(job)) == job


def test_a_training_publishes_into_a_claim_or_a_store():
    job = make_job(publishing={"publish": "pvc://served/shop"})
    assert job.settings["publishing"]["publish"] == "/mnt/claims/served/shop"
    assert "served" in job.claims
    assert make_job(publishing={"publish": "s3://models/shop"}).settings["publishing"]["publish"] == "s3://models/shop"
    message = _refusal(job_text(publishing={"publish": "models/shop"}))
    assert "publish is models/shop, a path of this machine, which pods do not see" in message


def test_a_raw_log_is_scored_where_it_is():
    job = make_job("predict", data=None, raw="s3://clicks/today/*.csv", out="s3://clicks/scores")
    assert (job.settings["raw"], job.settings["out"]) == ("s3://clicks/today/*.csv", "s3://clicks/scores")
    assert make_job("predict", data=None, raw="pvc://logs/today").settings["raw"] == "/mnt/claims/logs/today"


@pytest.mark.parametrize(
    ("task", "more", "text"),
    [
        ("preprocess", {}, "cluster.pod.workers is for evaluate and predict"),
        ("predict", {"out": "s3://clicks/scores.parquet"}, "which is copied there by one process"),
        ("predict", {"data": None, "raw": "s3://c/log", "out": "s3://c/scores.csv"}, "share the parts of a folder"),
        ("predict", {"data": None, "raw": "logs/today", "out": "s3://c/scores"}, "a path of this machine"),
    ],
)
def test_what_several_processes_cannot_share_is_refused(task, more, text):
    with pytest.raises(ConfigError, match=rf"job.yaml:\d+: .*{text}"):
        make_job(task, cluster={"pod": {"workers": 2}}, **more)


def test_every_task_of_the_tests_is_a_task():
    assert set(TASK_SETTINGS) == set(TASKS)
