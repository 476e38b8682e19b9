"""Who may read a token or a key besides its owner: nobody, or the group where it is root's."""

import os
import stat

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.storage.secret_file import read_secret, read_token, write_new_token

SOMEBODY = 12_345


def owned_by(path, uid):
    if os.geteuid() == 0:
        os.chown(path, uid, -1)
    elif uid == 0:
        pytest.skip("only root makes files of root")


@pytest.mark.parametrize(
    ("mode", "owner", "trouble"),
    [
        (0o600, SOMEBODY, None),
        (0o400, SOMEBODY, None),
        (0o700, SOMEBODY, None),
        (0o644, SOMEBODY, "mode 0644: every user of this machine can read it. Run chmod 600 "),
        (0o644, 0, "mode 0644: every user of this machine can read it"),  # a pod's Secret with the default mode
        (0o604, SOMEBODY, "every user of this machine can read it"),
        (0o602, SOMEBODY, "every user of this machine can change it"),
        (0o640, SOMEBODY, "mode 0640: the users of its group can read it"),
        (0o660, 0, "the users of its group can read it"),
        (0o620, 0, "the users of its group can change it"),
        (0o440, 0, None),  # a pod's Secret, with fsGroup
        (0o640, 0, None),
    ],
)
def test_a_secret_that_others_can_read_or_change_is_refused(tmp_path, mode, owner, trouble):
    path = tmp_path / "token"
    path.write_text("0123456789abcdef")
    owned_by(path, owner)
    path.chmod(mode)
    if trouble is None:
        assert read_secret(path, setting="tls_key") == b"0123456789abcdef"
        return
    with pytest.raises(ConfigError, match=trouble):
        read_token(path)
    path.chmod(0o600)  # the remedy
    assert read_token(path) == "0123456789abcdef"


def test_a_secret_may_come_through_a_pipe(tmp_path):
    reader, writer = os.pipe()
    os.write(writer, b"0123456789abcdef\n")
    os.close(writer)
    assert read_secret(tmp_path / f"/dev/fd/{reader}", setting="token_file") == b"0123456789abcdef\n"
    os.close(reader)


def test_a_new_token_is_its_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        write_new_token(tmp_path / "a")
    finally:
        os.umask(before)
    write_new_token(tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert read_token(tmp_path / "a") != read_token(tmp_path / "b")
    with pytest.raises(FileExistsError):
        write_new_token(tmp_path / "a")
