"""A process loads a version: compared with its golden answers, and made of the one before where that is enough."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from esmm_dist.errors import ServedModelError
from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.metrics import ServingMetrics
from esmm_dist.serving.processes.curl_line import curl_line
from esmm_dist.serving.scoring.served_scorer import ServedScorer
from esmm_dist.serving.versions.golden import golden_of
from esmm_dist.serving.versions.loaded_versions import LoadedVersions
from esmm_dist.serving.versions.offered_version import OfferedVersion
from esmm_dist.serving.versions.self_check import self_check
from esmm_dist.serving.versions.version_loading import VersionLoading
from tests.support.asked import ASKED
from tests.support.damage import flip_bit
from tests.support.served_versions import answer_of, rows_of, write_answering


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models")
    write_answering(folder, "1", rows_of(1))
    changed = rows_of(1)
    changed["main"][17] = changed["main"][17] + 1  # type: ignore[index]
    write_answering(folder, "2.delta", changed, bases=[folder / "1"], step=20)
    return folder


def offer(models: Path, *names: str) -> OfferedVersion:
    return OfferedVersion(name=names[-1], number=5, folders=tuple(models / name for name in names), identities=names)


def test_a_delta_is_applied_to_the_version_in_service(models, tmp_path):
    versions, metrics = LoadedVersions(), ServingMetrics()
    versions.wait_for("it is being fetched")
    assert versions.why_not_ready() == "it is being fetched"
    loading = VersionLoading(versions, metrics)
    shutil.copytree(models / "1", tmp_path / "1")
    shutil.copytree(models / "2.delta", tmp_path / "2.delta")
    facts = loading.load(offer(tmp_path, "1"), check=True)
    assert (facts["step"], facts["rows"], facts["golden"]) == (10, 600, 1)
    first = versions.current()
    assert first is not None
    shutil.rmtree(tmp_path / "1")  # what is mapped stays
    facts = loading.load(offer(tmp_path, "1", "2.delta"), check=True)
    second = versions.current()
    assert second is not None
    assert (second.version, second.number, versions.why_not_ready()) == ("2.delta", 5, "")
    assert metrics.step._value.get() == 20
    assert self_check(first.scorer, models / "1") == 1  # the one before still answers
    with pytest.raises(ServedModelError, match="the files do not belong to each other"):
        self_check(first.scorer, models / "2.delta")
    expected = answer_of([models / "1", models / "2.delta"])
    found = second.scorer.score(second.scorer.reader.read("short", ASKED).batch)
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column)


def test_ten_changes_of_version_leave_no_file_of_an_old_one_mapped(models, tmp_path):
    write_answering(tmp_path, "3", rows_of(3), networks=2)
    loading = VersionLoading(LoadedVersions(), ServingMetrics())
    three = OfferedVersion(name="3", number=3, folders=(tmp_path / "3",), identities=("3",))
    turns = [offer(models, "1"), offer(models, "1", "2.delta"), three, offer(models, "1", "2.delta"), three] * 2
    for offered in turns:
        loading.load(offered, check=False)
        assert _mapped_folders(models, tmp_path) == set(offered.folders)


def _mapped_folders(*within: Path) -> set[Path]:
    """Return the folders of versions of which this process maps tables."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    paths = [Path(words[5]) for line in lines if line.endswith(".npy") and len(words := line.split()) == 6]
    return {path.parents[2] for path in paths if path.parents[3] in within}


def test_files_that_another_process_has_checked_are_not_read_again(models, tmp_path):
    shutil.copytree(models / "1", tmp_path / "1")
    flip_bit(tmp_path / "1" / "served" / "tables" / "main-0000.rows.npy", 0.9)
    loading = VersionLoading(LoadedVersions(), ServingMetrics())
    with pytest.raises(ServedModelError, match=r"main-0000\.rows\.npy"):
        loading.load(offer(tmp_path, "1"), check=True)
    loading.load(offer(tmp_path, "1"), check=False)


def golden(**changes: Any) -> dict[str, Any]:
    """Return golden.json's content with one request, changed."""
    request = {"name": "one", "form": "short", "request": ASKED, "answer": {"scores": {}}}
    return {"tolerance": 1e-6, "requests": [{**request, **changes}]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "cannot be read"),
        ({"requests": []}, r"cannot be read \(KeyError: 'tolerance'\)"),
        ({"tolerance": 2, "requests": []}, r"cannot be read \(ValueError: its tolerance or its requests are none\)"),
        (golden(request={"nobody": 1, "candidates": []}), "request 'one': the model does not take it: .*nobody"),
        (
            golden(answer={"scores": {"pctr": [0.5]}}),
            r"request 'one': pctr: 4 scores, not 1\. Export the version again",
        ),
        (golden(answer={"scores": {"other": [0.5]}}), r"request 'one': other: 0 scores, not 1"),
        (golden(request=[ASKED], answer={"scores": [{"pctr": [0.5] * 4}]}), r"user 0: pctr: score 0 is .*, not 0\.5: "),
    ],
)
def test_a_golden_file_that_does_not_fit_is_named(models, tmp_path, content, text):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "golden.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ServedModelError, match=text):
        self_check(ServedScorer.open([models / "1"]), tmp_path)


def test_scores_that_are_no_numbers_are_refused_and_no_golden_file_is_none(models, tmp_path):
    shutil.copytree(models / "1", tmp_path / "1")
    path = tmp_path / "1" / "served" / "tables" / "main-0000.rows.npy"
    np.save(path, np.full_like(np.load(path), np.nan))  # no export writes that
    with pytest.raises(ServedModelError, match="request 'four': pctr: a score is nan"):
        self_check(ServedScorer.open([tmp_path / "1"], verify=False), tmp_path / "1")
    shutil.rmtree(tmp_path / "1" / "assets.extra")
    assert golden_of(tmp_path / "1") is None
    assert self_check(ServedScorer.open([models / "1"]), tmp_path / "1") == 0


def test_the_command_to_paste_is_short_and_says_who_asks(models, tmp_path):
    content = golden(request={"user": 17, "tags": list(range(100)), "candidates": [{"item": n} for n in range(50)]})
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "golden.json").write_text(json.dumps(content))
    plain = curl_line(ServeConfig(models="models"), "http://h:1", tmp_path)
    body = {"user": 17, "tags": [0, 1, 2], "candidates": [{"item": 0}, {"item": 1}]}
    assert plain == f"curl -s -d '{json.dumps(body)}' http://h:1/v1/score"
    config = ServeConfig(
        models="models", token_file=Path("my token"), tls_cert=Path("cert.pem"), tls_key=Path("key.pem")
    )
    words = shlex.split(curl_line(config, "https://h:1", tmp_path))
    assert words[2:6] == ["--cacert", "cert.pem", "-H", "Authorization: Bearer $(cat 'my token')"]
    (tmp_path / "assets.extra" / "golden.json").write_text("{")
    assert """-d '{"candidates": [{}]}'""" in curl_line(ServeConfig(models="models"), "http://h:1", tmp_path)
