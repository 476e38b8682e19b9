"""What k8s/README.md tells the owners of clusters: settings that exist, and rights that are enough."""

import dataclasses
import re
from pathlib import Path
from typing import get_args, get_type_hints

from esmm_dist.train.config import CheckpointConfig
from launcher.cluster.cluster_config import ClusterConfig
from tests.unit.launcher.cluster.jobs import find, make_job, rendered

TEXT = (Path(__file__).parents[4] / "k8s" / "README.md").read_text(encoding="utf-8")
PARTS = "servers|workers|driver|pod"


def _settings(cls: type, prefix: str = "") -> set[str]:
    """Return the dotted names of all settings."""
    found = set()
    for name, hint in get_type_hints(cls).items():
        found.add(prefix + name)
        for nested in (hint, *get_args(hint)):
            if dataclasses.is_dataclass(nested) and isinstance(nested, type):
                found |= _settings(nested, f"{prefix}{name}.")
    return found


def test_every_setting_of_cluster_that_is_named_exists():
    named = set(re.findall(rf"`(?:cluster\.)?((?:{PARTS})\.[a-z_]+)", TEXT))
    named |= set(re.findall(r"`cluster\.([a-z_]+(?:\.[a-z_]+)?)", TEXT))
    assert len(named) > 10
    assert named - _settings(ClusterConfig) == set()


def test_every_setting_whose_cost_is_told_exists():
    table = TEXT.partition("## What each setting costs")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)]
    assert len(named) > 10
    assert set(named) - _settings(ClusterConfig) - _settings(CheckpointConfig) == set()


def test_who_may_submit_may_grant_the_driver_its_rights():
    section = TEXT.partition("## Rights")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    held = {
        (row[3].strip().replace("core", ""), resource.strip(" `"), verb.strip())
        for row in rows
        for resource in row[1].split(",")
        for verb in row[2].split(",")
    }
    wanted = {
        (group, resource, verb)
        for rule in find(rendered(make_job()), "Role", "nightly-driver")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert len(wanted) >= 4
    assert wanted - held == set()
