"""The examples render to what the golden files hold.

After a wanted change: ``python -m tests.unit.launcher.cluster.test_golden_examples`` writes them anew; read the diff.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from launcher.cluster import names
from launcher.cluster.job_file import read_job
from launcher.cluster.objects.all import manifests_list
from tests.unit.launcher.cluster.jobs import NAMESPACE, rendered

ROOT = Path(__file__).parents[4]
EXAMPLES = sorted((ROOT / "k8s" / "examples").glob("*.yaml"))
GOLDEN = Path(__file__).parent / "golden"


def _manifests(example: Path) -> str:
    manifests = manifests_list(rendered(read_job(example).in_namespace(NAMESPACE)))
    return json.dumps(_of_any_version(manifests), indent=2) + "\n"


def _of_any_version(part: Any) -> Any:
    """A release changes the label of the project's version, and nothing else that stands in golden files."""
    if isinstance(part, dict):
        return {key: "VERSION" if key == names.VERSION else _of_any_version(value) for key, value in part.items()}
    return [_of_any_version(each) for each in part] if isinstance(part, list) else part


def test_there_are_seven_examples():
    named = ["aliccp-gpu", "nightly", "preprocess", "report", "serve", "small-cpu", "synth"]
    assert [path.stem for path in EXAMPLES] == named


def test_the_smallest_training_reads_what_the_preprocess_writes():
    before, training = (read_job(ROOT / f"k8s/examples/{name}.yaml") for name in ("preprocess", "small-cpu"))
    assert before.settings["out"] == training.settings["data"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_renders_to_its_golden_file(example):
    golden = GOLDEN / f"{example.stem}.json"
    assert _manifests(example) == golden.read_text(), "see this file's docstring for how to renew them"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_release_changes_no_golden_file(example, monkeypatch):
    monkeypatch.setattr(names, "version", lambda: "47.11")
    assert rendered(read_job(example).in_namespace(NAMESPACE))[0]["metadata"]["labels"][names.VERSION] == "47.11"
    assert _manifests(example) == (GOLDEN / f"{example.stem}.json").read_text()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_setting_of_an_example_has_a_comment_above_it_or_above_its_group(example):
    blocks = example.read_text().split("\n\n")
    assert len(blocks) > 5
    for block in blocks:
        lines = [line for line in block.splitlines() if line.strip() not in ("", "cluster:")]
        assert not lines or lines[0].lstrip().startswith("#"), block


if __name__ == "__main__":
    for each in EXAMPLES:
        (GOLDEN / f"{each.stem}.json").write_text(_manifests(each))
