"""The schema that preprocess/README.md prints for event logs joins a log of ``esmm synth --form events``."""

import re
from pathlib import Path

from preprocess.synthetic.config import SynthConfig
from preprocess.synthetic.events import schema_text, synthesize_events
from tests.unit.preprocess.raw_logs import run

README = Path(__file__).parents[4] / "preprocess/README.md"


def test_printed_schema_joins_the_synthetic_log(tmp_path: Path):
    section = README.read_text(encoding="utf-8").partition("## Event logs\n")[2].partition("\n## ")[0]
    (printed,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (tmp_path / "printed.yaml").write_text(printed)
    config = SynthConfig(out=tmp_path / "raw", form="events", impressions=500)
    report = synthesize_events(config)
    made = run(tmp_path / "raw", tmp_path / "data", schema=str(tmp_path / "printed.yaml"))
    joined = made.report["events"]["labels"]
    assert {label: found["joined"] for label, found in joined.items()} == report.label_counts
    without_comments = re.sub(r" +#.*", "", printed)
    written = schema_text(config).splitlines()
    assert [line for line in without_comments.splitlines() if line not in written] == []
