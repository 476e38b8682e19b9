"""Where the API has each kind of object."""

import pytest

from launcher.cluster.api import kinds
from launcher.cluster.api.kinds import RESOURCES, resource_of


@pytest.mark.parametrize(
    ("resource", "namespace", "rest", "path"),
    [
        (kinds.POD, "ml", (), "/api/v1/namespaces/ml/pods"),
        (kinds.POD, "ml", ("p", "log"), "/api/v1/namespaces/ml/pods/p/log"),
        (kinds.POD, None, (), "/api/v1/pods"),  # of all namespaces
        (kinds.STATEFUL_SET, "ml", ("s", "scale"), "/apis/apps/v1/namespaces/ml/statefulsets/s/scale"),
        (kinds.PRIORITY_CLASS, "ml", ("high",), "/apis/scheduling.k8s.io/v1/priorityclasses/high"),  # has no namespace
        (kinds.NAMESPACE, "ml", ("ml",), "/api/v1/namespaces/ml"),
    ],
)
def test_paths_are_those_of_the_api(resource, namespace, rest, path):
    assert resource.path(namespace, *rest) == path


def test_a_manifest_has_one_kind_and_versions_are_told_apart():
    assert len(RESOURCES) > 10
    for each in RESOURCES:
        assert resource_of({"apiVersion": each.api_version, "kind": each.kind}) is each


def test_a_kind_that_jobs_do_not_have_is_a_mistake_of_the_program():
    with pytest.raises(AssertionError, match="v1 ReplicaSet is not in RESOURCES"):
        resource_of({"apiVersion": "v1", "kind": "ReplicaSet"})
