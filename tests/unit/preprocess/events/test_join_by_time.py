"""Events that find their impressions by user, item and time: touch decides."""

from pathlib import Path

import pytest

from tests.unit.preprocess.events.event_logs import FIELDS, HOUR, write_rows
from tests.unit.preprocess.raw_logs import read_impressions, rejects, run

SCHEMA = """
name: own
labels: [click, buy]
source:
  form: events
  impressions: {files: "shown*", time: shown_at}
  join: [user, item]
  labels:
    click: {files: "click*", time: at, window_hours: 1, touch: %s}
    buy: {files: "buy*", time: at, window_days: 1, after: click, touch: %s}
"""
# One user sees an item at 0:00, 0:20 and 0:50, clicks at 0:30 and 0:55, and buys at 2:00.
SHOWN = [0, HOUR // 3, HOUR * 5 // 6]
CLICKS = [HOUR // 2, HOUR * 11 // 12]


def write(folder: Path, click: str, buy: str, *, sample_id: bool = False) -> tuple[Path, str]:
    raw = folder / "raw"
    shown = [{"id": f"n{n}", "user": "u", "item": 7, "price": 1, "shown_at": at} for n, at in enumerate(SHOWN)]
    shown.append({**shown[0], "id": "n9", "item": 8})
    write_rows(raw / "shown.csv", shown)
    write_rows(raw / "click.jsonl", [{"user": "u", "item": 7, "at": at} for at in CLICKS])
    write_rows(raw / "buy.csv", [{"user": "u", "item": "7.0", "at": 2 * HOUR}])
    text = SCHEMA % (click, buy) + FIELDS
    (folder / "s.yaml").write_text(text.replace("  join:", "  sample_id: id\n  join:") if sample_id else text)
    return raw, str(folder / "s.yaml")


@pytest.mark.parametrize(
    ("click", "buy", "labels"),
    [
        ("last", "last", [(0, 0), (1, 0), (1, 1)]),  # clicks of the second and third, the third's is later
        ("last", "first", [(0, 0), (1, 1), (1, 0)]),
        ("first", "last", [(1, 1), (0, 0), (0, 0)]),  # both clicks are the first one's
        ("every", "every", [(1, 1), (1, 1), (1, 1)]),
        ("every", "last", [(1, 0), (1, 0), (1, 1)]),
        ("every", "first", [(1, 1), (1, 0), (1, 0)]),  # clicked at the same time: the earlier impression
    ],
)
def test_touch_decides_between_impressions(tmp_path: Path, click: str, buy: str, labels: list[tuple[int, int]]):
    raw, schema = write(tmp_path, click, buy)
    made = run(raw, tmp_path / "data", schema=schema)
    found = [i.labels for i in read_impressions(tmp_path / "data", made, "train")]
    assert found == [*labels, (0, 0)]  # the other item has none
    repeated = made.report["events"]["labels"]["click"]["rejected"]
    assert repeated == ({"repeated_event": 1} if click == "first" else {})


def test_impressions_of_one_name_are_repeats(tmp_path: Path):
    raw, schema = write(tmp_path, "last", "last", sample_id=True)
    lines = (raw / "shown.csv").read_text().splitlines()
    # The third again, later and with another time: as an impression of its own it would get the second click
    (raw / "shown.csv").write_text("\n".join([*lines, lines[3].replace("00:50:00", "00:54:00")]) + "\n")
    made = run(raw, tmp_path / "data", schema=schema)
    assert rejects(tmp_path / "data") == [("shown.csv", 6, "repeated_impression")]
    found = {i.labels for i in read_impressions(tmp_path / "data", made, "train")}
    assert found == {(0, 0), (1, 0), (1, 1)}
    assert made.splits["train"].label_counts == {"click": 2, "buy": 1}
