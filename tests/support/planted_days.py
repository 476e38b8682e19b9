"""A flat log of several days with something to learn, and the file of a pipeline for it."""

import csv
import random
from datetime import date
from pathlib import Path

SCHEMA = """
name: planted
labels: [click, conversion]
source:
  form: flat
  files: {train: "*.csv"}
  labels: {click: click, conversion: buy}
fields:
  - {name: user, owner: user}
  - {name: item, owner: item}
"""

DAYS = [date(2022, 4, day) for day in (25, 26, 27, 28)]


def write_day(raw: Path, day: date, *, impressions: int = 700, shuffled: bool = False) -> None:
    """Write the log of a day: items of one kind are clicked, and some of these are bought.

    Args:
        raw: folder of the logs, with a folder for each day
        day: the day, which also is the seed
        impressions: rows
        shuffled: whether labels are those of other rows: nothing can be learned from such a day
    """
    draw = random.Random(str(day))
    rows = []
    for _ in range(impressions):
        user, item = draw.randrange(120), draw.randrange(20)
        click = draw.random() < (0.7 if item % 2 == 0 else 0.15)
        buy = click and draw.random() < (0.7 if item % 4 < 2 else 0.15)
        rows.append([f"u{user}", f"i{item}", int(click), int(buy)])
    if shuffled:
        labels = [row[2:] for row in rows]
        draw.shuffle(labels)
        rows = [row[:2] + label for row, label in zip(rows, labels, strict=True)]
    folder = raw / str(day)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "click", "buy"])
        writer.writerows(rows)


def pipeline_text(folder: Path, *, work: str = "", publish: str = "", more: str = "") -> str:
    """Return a pipeline file whose places lie below a folder, unless others are given."""
    return f"""
raw: "{folder}/raw/{{day}}"
work: "{work or folder / "work"}"
publish: "{publish or folder / "models"}"
first_day: {DAYS[0]}
preprocess: {{schema: "{folder}/schema.yaml", validation_share: 0.3, min_count: 1, lanes: 4, workers: 1}}
train:
  settings:
    embedding: {{embedding_dim: 4, embedding_learning_rate: 0.1}}
    model: {{hidden_units: [8]}}
    dense: {{dense_learning_rate: 0.01}}
    input: {{global_batch_records: 32, epochs: 1}}
gate: {{max_auc_drop: 0.1, max_calibration_drift: 1.0, max_day_auc_drop: 0.15}}
keep_versions: 1
{more}
"""


def write_planted(folder: Path, days: int, **text: str) -> Path:
    """Write logs, schema and pipeline file; return the path of the last one."""
    for day in DAYS[:days]:
        write_day(folder / "raw", day)
    (folder / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    file = folder / "pipeline.yaml"
    file.write_text(pipeline_text(folder, **text), encoding="utf-8")
    return file
