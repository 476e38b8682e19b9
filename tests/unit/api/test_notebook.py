"""The notebook of the documentation runs, and shows what is stored in it."""

import json

from tests.support.notebook import NOTEBOOK, code_cells, run_cells, shown, without_numbers


def test_the_cells_run_one_after_the_other_and_show_what_the_notebook_holds(tmp_path):
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    found = run_cells(notebook, tmp_path)
    stored = [shown(cell) for cell in code_cells(notebook)]
    assert len(found) > 8
    # Numbers may differ in their last digits on another processor
    assert [without_numbers(each) for each in found] == [without_numbers(each) for each in stored]
    # To write them anew: python -m tests.support.notebook


def test_the_notebook_is_small():
    assert NOTEBOOK.stat().st_size < 20_000
