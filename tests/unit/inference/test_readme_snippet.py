"""The Python of the README trains and evaluates, as it stands there."""

import re
from pathlib import Path

from tests.support.tiny_dataset import tiny_groups, write_dataset

README = Path(__file__).parents[3] / "README.md"


def test_the_python_of_the_readme_prints_the_ctcvr_auc_of_the_run_that_it_trains(tmp_path, monkeypatch, capsys):
    (snippet,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    write_dataset(tmp_path / "demo/data", {"train": tiny_groups(160), "test": tiny_groups(30, seed=2)})
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(snippet, README, "exec"), names)
    printed = float(capsys.readouterr().out.splitlines()[-1])
    assert 0 <= printed <= 1
    assert printed == names["evaluation"].tasks["ctcvr"].auc  # type: ignore[attr-defined]
    assert (tmp_path / "demo/run-python/checkpoints").is_dir()
