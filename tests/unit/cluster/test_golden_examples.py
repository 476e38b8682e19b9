"""The examples render to what the golden files hold.

After a wanted change: ``python -m tests.unit.cluster.test_golden_examples`` writes them anew; read the diff.
"""

from pathlib import Path

import pytest

from launcher.cluster.job_file import read_job
from launcher.cluster.objects.all import manifests_json
from tests.unit.cluster.jobs import NAMESPACE, rendered

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "k8s" / "examples").glob("*.yaml"))
GOLDEN = Path(__file__).parent / "golden"


def _manifests(example: Path) -> str:
    return manifests_json(rendered(read_job(example).in_namespace(NAMESPACE))) + "\n"


def test_there_are_two_examples():
    assert [path.name for path in EXAMPLES] == ["aliccp-gpu.yaml", "small-cpu.yaml"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_renders_to_its_golden_file(example):
    golden = GOLDEN / f"{example.stem}.json"
    assert _manifests(example) == golden.read_text(), "see this file's docstring for how to renew them"


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
