"""Names, labels and addresses are such as Kubernetes and TLS take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.cluster import names

JOB_NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True).filter(names.is_job_name)


@given(JOB_NAMES)
def test_every_name_made_of_a_jobs_is_a_label_with_room_for_a_pods_number_and_a_hash(job):
    made = [names.config(job), names.status(job), names.server(job), names.worker(job), names.driver(job)]
    made += [names.task(job), names.pod_account(job)]
    assert len(set(made)) == len(made)
    for name in made:
        assert names.is_label(f"{name}-4095")
        assert names.is_label_value(f"{name}-{'a' * 10}")  # controller-revision-hash


@given(JOB_NAMES)
def test_a_job_finds_its_objects_by_labels_that_all_of_them_have(job):
    labels = names.labels(job, "worker")
    assert set(labels) == set(names.OWN_LABELS)
    assert all(names.is_label_key(key) and names.is_label_value(value) for key, value in labels.items())
    for query in (names.label_query(job), names.label_query(job, "worker")):
        assert all(labels[key] == value for key, value in (pair.split("=") for pair in query.split(",")))
    assert "worker" not in names.label_query(job).replace(job, "")


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("nightly", True),
        ("a" * 40, True),
        ("a" * 41, False),
        ("n-1", True),
        ("1n", False),  # Services may not begin with a digit
        ("n-", False),
        ("N", False),
        ("a.b", False),
        ("", False),
        ("nightly-status", False),  # the ConfigMap of job nightly
    ],
)
def test_a_jobs_name_is_a_dns_label_of_40_characters(name, good):
    assert names.is_job_name(name) is good


@pytest.mark.parametrize(
    ("name", "end"), [("a-server", "-server"), ("a-worker", "-worker"), ("a-driver", None), ("a", None)]
)
def test_the_operators_service_would_be_that_of_another_job(name, end):
    assert names.operator_takes(name) == end


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (names.is_object_name, ["a.b-c", "1", "a" * 253], ["a..b", "A", "a_b", "a" * 254, ""]),
        (names.is_volume_claim, ["a" * 57], ["a" * 58, "a.b"]),
        (names.is_label_key, ["app", "a.b/C_d"], ["/a", "a/", "a/b/c", "A/b", "a" * 64]),
        (names.is_label_value, ["", "a_b.C"], ["-a", "a-", "a b", "a" * 64, "ä"]),
        (names.is_resource_name, ["nvidia.com/gpu"], ["gpu", "/gpu"]),
        (names.is_variable, ["A_1", "_a"], ["1A", "A-B", "", "Ä"]),
    ],
)
def test_names_are_told_from_what_kubernetes_refuses(check, good, bad):
    assert [each for each in good if not check(each)] == []
    assert [each for each in bad if check(each)] == []


@given(JOB_NAMES, st.integers(1, 20))
def test_servers_are_called_by_names_that_their_certificate_is_for(job, count):
    addresses = names.server_addresses(job, "ml", count)
    assert len(set(addresses)) == count
    wildcards = {name.removeprefix("*") for name in names.certified_names(job, "ml")}
    for address in addresses:
        host, _, port = address.partition(":")
        assert int(port) == names.SERVER_PORT
        assert host[host.index(".") :] in wildcards
