"""What is said when the cluster refuses, and what a caller can tell apart."""

import json
import ssl

import pytest
import urllib3

from launcher.cluster.api import kinds
from launcher.cluster.api.errors import Access, ClusterError, Request, no_answer, no_api, refusal

ME = Access(host="https://10.0.0.1:6443", namespace="ml", who="context 'here' of kubeconfig")
POD = Access(host="https://10.0.0.1:6443", namespace="ml", who="the service account of this pod", in_pod=True)
READ = Request(verb="get", resource=kinds.SECRET, name="token")


def said(status: int, request: Request = READ, **body: object) -> ClusterError:
    """Return the error for a Status object."""
    return refusal(status, json.dumps(body).encode(), request, ME)


def test_credentials_that_are_not_accepted_are_named():
    text = str(said(401, message="Unauthorized"))
    assert "https://10.0.0.1:6443 does not accept the credentials of context 'here' of kubeconfig" in text
    assert "Log in again" in text


def test_a_quota_is_named_with_what_is_used():
    create = Request(verb="create", resource=kinds.CLAIM, name="clicks")
    error = said(403, create, message="claims is forbidden: exceeded quota: disk, used: 9Gi, limited: 10Gi")
    assert error.reason == "Quota"
    text = "PersistentVolumeClaim clicks in namespace ml is over the quota: disk, used: 9Gi, limited: 10Gi."
    assert str(error).startswith(text)


@pytest.mark.parametrize(
    ("request_", "message", "text", "check"),
    [
        (
            READ,
            'secrets is forbidden: User "ann" cannot get resource "secrets" in API group ""',
            "No right to get secrets in namespace ml (user ann)",
            "kubectl auth can-i get secrets -n ml",
        ),
        (  # a message without a user, about an object that has no namespace
            Request(verb="get", resource=kinds.PRIORITY_CLASS, name="high"),
            "cannot read it",
            "No right to get priorityclasses of scheduling.k8s.io in the cluster (context 'here' of kubeconfig)",
            "kubectl auth can-i get priorityclasses",
        ),
        (  # a Role that gives more than its maker has: what is missing is not what was asked for
            Request(verb="create", resource=kinds.ROLE, name="r"),
            'User "ann" cannot patch resource "statefulsets/scale"',
            "No right to patch statefulsets/scale of rbac.authorization.k8s.io in namespace ml (user ann)",
            "kubectl auth can-i patch statefulsets/scale -n ml",
        ),
    ],
)
def test_a_missing_right_is_said_with_the_command_that_shows_it(request_, message, text, check):
    error = said(403, request_, message=message)
    assert error.reason == "NoRight"
    assert str(error).startswith(text)
    assert str(error).endswith(check)


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({"kind": "namespaces", "name": "ml"}, "Namespace ml does not exist. Name another with --namespace"),
        ({"kind": "secrets", "name": "token"}, "There is no Secret token in namespace ml."),
        ({}, "does not know secrets of v1 (Secret token in namespace ml)."),
    ],
)
def test_what_is_not_there_is_told_from_what_the_cluster_does_not_know(details, text):
    error = said(404, details=details)
    assert error.http_status == 404
    assert text in str(error)


def test_what_exists_already_is_told_from_what_somebody_else_changed():
    there = said(409, reason="AlreadyExists")
    assert (there.reason, str(there)) == ("AlreadyExists", "Secret token exists already in namespace ml.")
    assert "was changed by somebody else at the same time (conflict). Try again." in str(
        said(409, reason="Conflict", message="conflict.")
    )


@pytest.mark.parametrize("status", [400, 422])
def test_a_wrong_field_is_named_with_what_is_wrong(status):
    causes = [{"field": "spec.replicas", "message": "must be\n  positive"}, {"field": "metadata.name", "message": "x"}]
    text = str(said(status, details={"causes": causes}, message="invalid"))
    assert (
        text == "The cluster refuses Secret token in namespace ml: spec.replicas: must be positive; metadata.name: x."
    )
    assert str(said(status, message="invalid")) == "The cluster refuses Secret token in namespace ml: invalid."


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "no reason given"), (b"<html>busy</html>", "<html>busy</html>"), (b"[]", "no reason given"), (None,) * 2],
)
def test_any_other_refusal_says_what_was_asked_for_and_the_status(body, reason):
    error = refusal(500, body, Request(verb="list", resource=kinds.POD), ME)
    wanted = f"refuses to list pods in namespace ml with 500 ({reason or 'no reason given'})."
    assert wanted in str(error)
    assert (error.http_status, error.reason) == (500, "")


def test_a_cluster_that_is_away_is_said_with_the_systems_reason_and_to_a_user_with_what_to_do():
    away = urllib3.exceptions.ProtocolError(
        "Connection aborted.", ConnectionResetError(104, "Connection reset by peer")
    )
    assert (
        str(no_answer(away, POD)) == "The cluster at https://10.0.0.1:6443 gives no answer (Connection reset by peer)."
    )
    text = str(no_answer(away, ME))
    assert "context 'here' of kubeconfig names an old address; kubectl cluster-info shows the same." in text
    assert text.endswith("Jobs in it go on meanwhile.")
    assert no_answer(away, ME).http_status is None


def test_a_certificate_of_another_authority_is_said_without_the_librarys_words():
    wrong = ssl.SSLError(
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1016)"
    )
    text = "shows a certificate that the service account of this pod does not vouch for (self-signed certificate)."
    assert str(no_answer(wrong, POD)).endswith(text)
    assert str(no_answer(wrong, ME)).endswith("Fetch a new kubeconfig from the cluster's owner.")


def test_an_answer_that_is_no_object_is_shown_at_its_beginning():
    text = str(no_api(b"<html>\n<title>log in</title>" + b"x" * 1000, ME))
    assert "(<html> <title>log in</title>xxx" in text
    assert len(text) < 400
    assert "(nothing)" in str(no_api(b"", ME))
