"""The Python of launcher/cluster/README.md prints the manifests of the smallest job."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[4]


def test_the_python_of_the_readme_prints_the_objects_of_the_smallest_job(monkeypatch, capsys):
    text = (ROOT / "launcher/cluster/README.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(compile(snippet, "README.md", "exec"), {})
    items = list(yaml.safe_load_all(capsys.readouterr().out))
    assert {"StatefulSet", "Job", "ConfigMap", "Secret", "NetworkPolicy"} <= {item["kind"] for item in items}
    assert {item["metadata"]["namespace"] for item in items} == {"ml"}
