import pytest

from launcher.driver.heartbeat import Heartbeat, read_heartbeat, write_heartbeat


def test_a_heartbeat_is_read_as_it_was_written(tmp_path):
    first = Heartbeat(state="starting")
    second = Heartbeat(state="running", silent_servers={0: 0.4, 11: 3.0}, silent_agents={"worker-0": 0.1})
    for heartbeat in (first, second):  # the newer one replaces the older one
        write_heartbeat(tmp_path / "driver.json", heartbeat)
        assert read_heartbeat(tmp_path / "driver.json") == heartbeat


@pytest.mark.parametrize("text", [None, "", '{"state": "run'])
def test_without_a_whole_heartbeat_there_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / "driver.json").write_text(text)
    assert read_heartbeat(tmp_path / "driver.json") is None
