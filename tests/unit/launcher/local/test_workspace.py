"""The folder of one ``esmm local``."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

import pytest

from launcher.local.workspace import LOG_FOLDER, Workspace, open_workspace


def test_a_workspace_is_for_this_user_alone_holds_a_token_and_is_removed():
    with open_workspace() as workspace:
        folder = workspace.folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(workspace.token_file.stat().st_mode) == 0o600
        assert len(workspace.token_file.read_text().strip()) == 64
        (folder / "server-0").write_text("127.0.0.1:1\n")
    assert not folder.exists()


def test_a_workspace_is_removed_when_the_work_fails():
    folders: list[Path] = []
    with contextlib.suppress(KeyError), open_workspace() as workspace:
        folders.append(workspace.folder)
        raise KeyError
    assert not folders[0].exists()


def test_each_workspace_has_another_token():
    with open_workspace() as first, open_workspace() as second:
        assert first.folder != second.folder
        assert first.token_file.read_text() != second.token_file.read_text()


def test_processes_leave_their_temporary_files_in_it_and_their_tracebacks_outside():
    with open_workspace() as workspace:
        found = workspace.environment({"PATH": "/bin", "TMPDIR": "/elsewhere"})
        assert found == {
            "PATH": "/bin",
            "TMPDIR": str(workspace.folder / "tmp"),
            LOG_FOLDER: tempfile.gettempdir(),
        }
        assert os.path.isdir(found["TMPDIR"])
        # One below another esmm local keeps the place of the first
        assert workspace.environment({LOG_FOLDER: "/kept"})[LOG_FOLDER] == "/kept"


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(folder=tmp_path)


def test_servers_are_silent_until_their_address_is_there(workspace):
    assert workspace.silent_servers(3) == [0, 1, 2]
    workspace.address_file(1).write_text("127.0.0.1:9001\n")
    assert workspace.silent_servers(3) == [0, 2]
    for index in (0, 2):
        workspace.address_file(index).write_text(f"127.0.0.1:900{index}\n")
    assert workspace.silent_servers(3) == []
    assert workspace.server_addresses(3) == ["127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9002"]


def test_each_start_of_an_agent_has_another_address_file(workspace):
    files = {workspace.agent_address_file(start) for start in range(5)}
    assert len(files) == 5
    assert files.isdisjoint({workspace.address_file(start) for start in range(5)})
