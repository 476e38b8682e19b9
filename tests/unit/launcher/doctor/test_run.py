"""``esmm doctor``: the report of all checks."""

import json

from launcher import cli
from launcher.doctor import run as doctor
from launcher.doctor.finding import Finding, finding_lines


def test_the_command_fails_if_one_check_fails(monkeypatch, capsys):
    bad = Finding(name="TFRA table", status="failed", text="broken", remedy="Mend it.")
    monkeypatch.setattr(doctor, "check_libraries", lambda: [bad])
    assert cli.main(["doctor"]) == 1
    assert "FAILED  TFRA table: broken\n        -> Mend it." in capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is False
    assert result["checks"][-1] == {"name": "TFRA table", "status": "failed", "text": "broken", "remedy": "Mend it."}


def test_the_command_passes_if_all_checks_do(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "check_libraries", lambda: [])
    monkeypatch.setattr(doctor, "check_machine", lambda folder: [])
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("All 1 checks passed.\n")


def test_a_good_finding_is_one_line():
    assert finding_lines(Finding(name="disk", status="ok", text="much")) == ["ok      disk: much"]
