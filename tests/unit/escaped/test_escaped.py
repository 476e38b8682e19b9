"""Text of others is shown without its power over a terminal or a log, wherever it is shown."""

import io
import json

import pyarrow.flight as flight
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.errors import ServerError
from esmm_dist.escaped import lines_of, one_line
from esmm_dist.parameter_server.refusals import received
from esmm_dist.text_table import text_table
from launcher.agent.http_server import stop_request
from launcher.local.screen import Screen
from launcher.run_files.run_status import RunStatus
from launcher.run_files.status_lines import status_lines
from launcher.terminal.progress import LineProgress

HOSTILE = "x\nServer 0/1 stops\r\x1b[2J\x1b]0;title\x07\u202etxet\u2028\x9b1m\0"
SHOWN = r"x\nServer 0/1 stops\r\x1b[2J\x1b]0;title\x07\u202etxet\u2028\x9b1m\x00"


@pytest.mark.parametrize(
    ("text", "line", "lines"),
    [
        ("plain, größer 学", "plain, größer 学", "plain, größer 学"),
        ("a\tb\nc", r"a\tb\nc", "a\tb\nc"),
        (HOSTILE, SHOWN, SHOWN.replace(r"\n", "\n", 1)),
        ("\udcff", r"\udcff", r"\udcff"),  # of a name that is not UTF-8
        ("", "", ""),
    ],
)
def test_what_does_not_print_is_written_out(text, line, lines):
    assert one_line(text) == line
    assert lines_of(text) == lines
    assert one_line(line) == line


def test_the_status_the_tables_and_errors_of_servers_and_agents_show_it_so():
    status = RunStatus(run="r", state="running", written_at=0.0, started_at=0.0, driver_pid=1, error=HOSTILE)
    assert f"error: {SHOWN}" in status_lines(status, now=0.0)
    assert text_table(["a"], [[HOSTILE]])[1] == SHOWN
    assert stop_request({"id": 1, "how": "kill", "reason": HOSTILE}) == (1, "kill", SHOWN)
    fault = flight.FlightServerError("x", json.dumps({"kind": "request", "message": HOSTILE}).encode())
    error = received(fault, "server 0/1")
    assert isinstance(error, ServerError)
    assert str(error) == f"server 0/1: {SHOWN}"


def test_lines_of_other_processes_and_messages_keep_their_ends_alone():
    out = io.StringIO()
    progress = LineProgress(out)
    Screen(progress, ["worker 0"], colours=False).log("worker 0", "a\x1b[2Jb\tc", leads=False)
    progress.message("d\x07\ne")
    assert out.getvalue() == "worker 0 | a\\x1b[2Jb\tc\nd\\x07\ne\n"


@given(st.text())
def test_whatever_the_text_one_line_prints_and_printable_text_stays(text):
    shown = one_line(text)
    assert shown.isprintable()
    assert one_line(shown) == shown
    assert shown == text or not text.isprintable()


@given(st.text(alphabet=st.characters(exclude_characters="\\")))
def test_without_backslashes_of_its_own_a_text_can_be_read_back(text):
    assert one_line(text).encode("ascii", "backslashreplace").decode("unicode_escape") == text


@given(st.text())
def test_lines_keep_their_ends_and_each_of_them_is_shown_as_one(text):
    assert lines_of(text).split("\n") == [
        "\t".join(one_line(part) for part in line.split("\t")) for line in text.split("\n")
    ]
