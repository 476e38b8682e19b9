"""Stands in for the process that publishes: writes down what it is asked for, and ends as a file says.

``python publish_stand_in.py FOLDER``: waits while FOLDER/wait is there, then ends as the text of FOLDER/end says.
"""

import json
import sys
import time
from pathlib import Path

END = {
    "published": lambda order: {
        "published": {
            "version": f"{order['step']}",
            "step": order["step"],
            "is_new": True,
            "rows": 3,
            "removed_rows": 0,
            "version_bytes": 1000,
            "seconds": 0.5,
        }
    },
    "refused": lambda order: {"error": "The folder is full."},
}


def main(folder: Path) -> None:
    order = json.load(sys.stdin)
    with (folder / "orders.jsonl").open("a") as file:
        file.write(json.dumps(order) + "\n")
    while (folder / "wait").exists():
        time.sleep(0.01)
    end = (folder / "end").read_text() if (folder / "end").exists() else "published"
    if end == "killed":
        raise SystemExit("Out of something")
    print('\x1e{"event": "message", "text": "Warning: look here"}')
    print('\x1e{"event": "message", "text": "not of interest"}')
    print(json.dumps(END[end](order)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
