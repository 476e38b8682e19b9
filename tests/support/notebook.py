"""Run a notebook's cells one after the other in this process, as a kernel without a screen does.

``python -m tests.support.notebook`` writes what the cells of the library's notebook show into it.
"""

import ast
import contextlib
import io
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[2] / "esmm_dist/api/from_python.ipynb"


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def shown(cell: dict[str, Any]) -> str:
    """Return what the notebook says that a cell shows."""
    texts = [output.get("text") or output["data"]["text/plain"] for output in cell["outputs"]]
    return "".join("".join(each) for each in texts).rstrip("\n")


def run_cells(notebook: dict[str, Any], folder: Path) -> list[str]:
    """Return what each cell of code shows: what it prints, and the value of its last line."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    found, before = [], Path.cwd()
    os.chdir(folder)
    try:
        for cell in code_cells(notebook):
            printed = io.StringIO()
            body = ast.parse("".join(cell["source"])).body
            last = body[-1] if isinstance(body[-1], ast.Expr) else None
            with contextlib.redirect_stdout(printed):
                exec(compile(ast.Module(body=body[:-1] if last else body, type_ignores=[]), "cell", "exec"), scope)
                value = eval(compile(ast.Expression(body=last.value), "cell", "eval"), scope) if last else None
                if value is not None:
                    print(repr(value))
            found.append(printed.getvalue().rstrip("\n"))
    finally:
        os.chdir(before)
    return found


def without_numbers(text: str) -> str:
    """Return a text whose numbers, and the spaces that align them, are not told apart: processors round differently."""
    return re.sub(r"\s+", " ", re.sub(r"[\d.,%]+", "#", text))


def main() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        for cell, text in zip(code_cells(notebook), run_cells(notebook, Path(folder)), strict=True):
            lines = text.splitlines(keepends=True)
            cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": lines}] if lines else []
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
