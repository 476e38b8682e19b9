"""``esmm serve`` of versions in an object store: fetched once for all workers, into a cache that goes with it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from esmm_dist.progress import NoProgress
from esmm_dist.storage.copy import copy_tree
from esmm_dist.storage.folder import Folder
from tests.support.s3_server import S3Server
from tests.support.serve_process import Asking, serve_process, wait_until
from tests.support.served_versions import answer_of, rows_of, write_answering


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_versions_in_a_store_are_fetched_once_and_taken_without_a_failed_request(tmp_path: Path, s3: S3Server):
    models = s3.uri("bucket/models")
    store, temporary = Folder.open(models), Path(os.environ["TMPDIR"])
    copy_tree(Folder.open(write_answering(tmp_path, "1", rows_of(1))), store / "1", NoProgress())
    with serve_process(models, "--workers", "2") as server:
        asking = Asking(server.address)
        changed = rows_of(3)
        delta = write_answering(tmp_path, "2.delta", changed, bases=[tmp_path / "1"], step=20)
        copy_tree(Folder.open(delta), store / "2.delta", NoProgress())
        server.wait_for("Version 2.delta answers: step 20")
        wait_until(lambda: {server.ask()[1]["version"] for _ in range(20)} == {"2"})
        asked = asking.end()
        assert asked.failed == []
        for version, chain in (("1", ["1"]), ("2", ["1", "2.delta"])):
            expected = answer_of([tmp_path / name for name in chain])
            for answer in asked.answers[version]:
                for name, column in expected.items():
                    np.testing.assert_allclose(answer[name], column, rtol=1e-6)
        assert server.log.count("fetch version 1:") == server.log.count("fetch version 2.delta:") == 1
        assert "asecret" not in server.log
        assert [path.name for path in temporary.glob("esmm-serve-*/2.delta-*")] != []
    assert json.dumps([path.name for path in temporary.glob("esmm-serve-*")]) == "[]"
