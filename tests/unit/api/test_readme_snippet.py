"""The Python of the README goes from a table to scores, as it stands there."""

import re
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).parents[3]


def python_blocks(readme: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (REPOSITORY / readme).read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_of_the_readme_scores_the_log_to_try(tmp_path, monkeypatch, capsys):
    (log_to_try,) = [block for block in python_blocks("preprocess/README.md") if "my_logs/log.csv" in block]
    (snippet,) = python_blocks("README.md")
    monkeypatch.chdir(tmp_path)
    exec(compile(log_to_try.replace("20_000", "2_000"), "preprocess/README.md", "exec"), {})
    names: dict[str, object] = {}
    exec(compile(snippet, "README.md", "exec"), names)
    scores, today = names["scores"], names["today"]
    assert isinstance(scores, pd.DataFrame)
    assert isinstance(today, pd.DataFrame)
    assert list(scores) == ["user_id", "item_id", "pctr", "pcvr", "pctcvr"]
    assert scores["user_id"].tolist() == today["user_id"].tolist()
    assert scores["pctcvr"].between(0, 1).all()
    assert scores["pctcvr"].nunique() > 1
    assert "pctcvr" in capsys.readouterr().out
    assert (tmp_path / "run/checkpoints").is_dir()
