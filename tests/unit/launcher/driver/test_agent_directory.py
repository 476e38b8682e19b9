import json

from launcher.driver.agent_directory import FileDirectory


def test_the_file_is_read_anew_at_each_call(tmp_path):
    file = tmp_path / "agents.json"
    directory = FileDirectory(file)
    assert (directory.addresses(), directory.wanted(), directory.trouble()) == ({}, 1, "")  # nobody has written it
    file.write_text(json.dumps({"wanted": 2, "agents": {"worker-0": "127.0.0.1:5"}}))
    assert (directory.addresses(), directory.wanted()) == ({"worker-0": "127.0.0.1:5"}, 2)
    file.write_text(json.dumps({"wanted": 3, "agents": {}}))
    assert (directory.addresses(), directory.wanted()) == ({}, 3)
    file.unlink()
    assert directory.wanted() == 3  # what was read last
