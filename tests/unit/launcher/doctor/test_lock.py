"""The doctor on the versions: those of the lock file."""

from launcher.doctor.lock import LOCK_FILE, check_lock, judge_versions, read_pins


def test_versions_that_differ_from_the_lock_are_named():
    pins = read_pins("# c\nnumpy==1.26.4 \\\n    --hash=sha256:00\n    # via x==1\nrich==15.0.0\ntyro==1.0\n")
    assert pins == {"numpy": "1.26.4", "rich": "15.0.0", "tyro": "1.0"}
    installed = {"numpy": "1.26.4", "rich": "14.0.0"}.get
    finding = judge_versions(pins, installed)
    assert finding.status == "failed"
    assert finding.text.endswith("2 of 3 packages differ from requirements.lock: "
                                 "rich 14.0.0 (lock: 15.0.0), tyro missing (lock: 1.0)")  # fmt: skip
    assert finding.remedy == "Run: make setup"


def test_many_wrong_versions_are_cut_to_five():
    finding = judge_versions({str(i): "1" for i in range(8)}, lambda name: None)
    assert finding.text.count("missing") == 5
    assert finding.text.endswith(" and 3 more")


def test_the_lock_file_of_the_checkout_is_found_and_compared():
    assert len(read_pins(LOCK_FILE.read_text())) > 50
    assert check_lock().status == "ok"


def test_a_missing_lock_file_is_a_note(tmp_path):
    assert check_lock(tmp_path / "none").status == "note"
