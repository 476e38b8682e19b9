"""The Python of launcher/cluster/README.md prints the manifests of the smallest job; its job files are job files."""

import re
from pathlib import Path

import yaml

from launcher.cluster.job_file import read_job
from tests.unit.launcher.cluster.jobs import job_text

ROOT = Path(__file__).parents[4]


def test_the_python_of_the_readme_prints_the_objects_of_the_smallest_job(monkeypatch, capsys):
    text = (ROOT / "launcher/cluster/README.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(compile(snippet, "README.md", "exec"), {})
    items = list(yaml.safe_load_all(capsys.readouterr().out))
    assert {"StatefulSet", "Job", "ConfigMap", "Secret", "NetworkPolicy"} <= {item["kind"] for item in items}
    assert {item["metadata"]["namespace"] for item in items} == {"ml"}


def test_the_job_files_of_the_readme_are_job_files():
    blocks = (ROOT / "launcher/cluster/README.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
    texts = [block.partition("```")[0] for block in blocks]
    jobs = [read_job(text) for text in texts if text.startswith("name:")]
    assert [(job.name, job.task) for job in jobs] == [("day-2", "train"), ("scores", "predict"), ("shop", "serve")]
    assert jobs[0].settings["continue"] is True
    [schedule] = [text for text in texts if text.startswith("schedule:")]
    assert read_job(f"{schedule}{job_text('pipeline')}").schedule is not None
