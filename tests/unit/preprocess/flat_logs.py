"""Small flat logs and their schema."""

from pathlib import Path

SCHEMA = """
name: own
labels: [click, conversion]
source:
  form: flat
  files: {{train: "{files}"}}
  labels: {{click: clicked, conversion: bought}}
  {sample_id}
fields:
  - {{name: user, owner: user}}
  - {{name: interests, owner: user, multi_hot: true, weighted: true}}
  - {{name: item, owner: item}}
  - {{name: tags, owner: item, multi_hot: true}}
"""

HEADER = "id,user,interests,item,tags,clicked,bought"

ROWS = [
    "11,u1,sport:2.5|film:0.5,4,red|new,1,0",
    "12,u1,sport:2.5|film:0.5,5,,0,1",
    "13,u2,,5,new,true,true",
    '14,"u,3",sport:1,,"a ""b""",0,0',
]


def schema(folder: Path, files: str, sample_id: str = "sample_id: id") -> str:
    path = folder / "own.yaml"
    path.write_text(SCHEMA.format(files=files, sample_id=sample_id))
    return str(path)


def write_csv(folder: Path, rows: list[str], name: str = "log.csv") -> Path:
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    (raw / name).write_text("\n".join([HEADER, *rows]) + "\n")
    return raw
