"""Plain TensorFlow reads records by the Python of preprocess/README.md."""

import re
from pathlib import Path

from esmm_dist.process.quiet import import_tfra
from tests.support.tiny_dataset import tiny_groups, write_dataset

README = Path(__file__).parents[3] / "preprocess/README.md"


def test_the_python_of_the_readme_reads_a_data_set(tmp_path, monkeypatch, capsys):
    snippet, _ = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    groups = tiny_groups(40)
    write_dataset(tmp_path / "OUT", {"train": groups})
    monkeypatch.chdir(tmp_path)
    import_tfra()  # TensorFlow warns when it is imported, and warnings are errors here
    exec(compile(snippet, README, "exec"), {})
    longest = max(len(values) for group in groups for values in group.fields)
    # All 40 records are one batch; each has two user fields.
    assert f"tf.Tensor([40  2 {longest:2}]" in capsys.readouterr().out
