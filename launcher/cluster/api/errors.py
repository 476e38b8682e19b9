"""What went wrong with a call of the cluster's API, in words that say what to do."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from esmm_dist.errors import EsmmError
from launcher.cluster.api.kinds import Resource


class ClusterError(EsmmError):
    """The cluster cannot be reached, or refuses.

    Args:
        message: what is wrong, where, and what to do
        http_status: status of the answer. None: there was no answer
        reason: the API's word for it (``AlreadyExists``), or ``Quota`` or ``NoRight``
    """

    def __init__(self, message: str, http_status: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.http_status = http_status
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Access:
    """Which cluster is asked, and with whose credentials."""

    host: str
    """Address of the API server."""

    namespace: str
    """Namespace of all objects whose own is not given."""

    who: str
    """Whose credentials are used: ``context 'x' of FILE``."""

    in_pod: bool = False
    """Whether they are those of the pod that this process runs in."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for, in the words of a Role."""

    verb: str
    resource: Resource
    name: str = ""
    """Name of the object; empty: all of a namespace, or a new one without a name."""


def no_answer(error: Exception, access: Access) -> ClusterError:
    """Return the error for a call that got no answer, or whose certificate is wrong."""
    inner = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else getattr(error, "reason", None)
    text = one_line(str(inner or error))
    if "CERTIFICATE_VERIFY_FAILED" in text:
        why = re.sub(r"^.*certificate verify failed: | \(_ssl\.c:\d+\).*$", "", text)
        remedy = "" if access.in_pod else " Fetch a new kubeconfig from the cluster's owner."
        return ClusterError(
            f"The cluster at {access.host} shows a certificate that {access.who} does not vouch for ({why}).{remedy}"
        )
    # The library's own words end with the system's: "<...>: Failed to establish a new connection: [Errno 111] ..."
    why = re.sub(r"^.*\[Errno -?\d+\] ", "", text)
    remedy = (
        ""
        if access.in_pod
        else f" It is down, behind a VPN, or {access.who} names an old address; kubectl cluster-info shows the same. "
        "Jobs in it go on meanwhile."
    )
    return ClusterError(f"The cluster at {access.host} gives no answer ({why}).{remedy}")


def no_api(data: bytes, access: Access) -> ClusterError:
    """Return the error for an answer that is no object."""
    said = one_line(data[:80].decode(errors="replace")) or "nothing"
    return ClusterError(
        f"{access.host} does not answer as a cluster's API does ({said}): something between here and the cluster "
        f"answers instead, such as a page to log in. Check the server that {access.who} names; kubectl cluster-info "
        "shows the same."
    )


def refusal(status: int, body: Any, request: Request, access: Access) -> ClusterError:
    """Return the error for a refusal.

    Args:
        status: HTTP status of the answer
        body: a Status object as text, or anything
        request: what was asked for
        access: who asked which cluster
    """
    said = _status_object(body)
    message, reason = one_line(str(said.get("message") or "")), str(said.get("reason") or "")
    if status == 403 and "exceeded quota" in message:
        reason = "Quota"
    elif status == 403 and "cannot" in message:
        reason = "NoRight"
    text = _refusal_text(status, said, request, access)
    return ClusterError(text, status, reason)


def _refusal_text(status: int, said: Mapping[str, Any], request: Request, access: Access) -> str:
    message, details = one_line(str(said.get("message") or "")), said.get("details") or {}
    resource, name = request.resource, request.name
    where = _where(request, access)
    what = f"{resource.kind} {name}" if name else resource.plural
    if status == 401:
        return (
            f"The cluster at {access.host} does not accept the credentials of {access.who}: they have expired, or it "
            "does not know them. Log in again as the cluster's owner describes; kubectl get pods shows the same."
        )
    if status == 403 and "exceeded quota" in message:
        return (
            f"{what} in {where} is over the quota: {message.partition('exceeded quota: ')[2] or message}. Ask for less "
            "in the job file, delete what is not needed (esmm jobs), or ask for more: kubectl describe quota -n "
            f"{access.namespace}."
        )
    if status == 403 and "cannot" in message:
        return _no_right(message, request, access)
    if status == 404:
        return _not_there(details, what, where, request, access)
    if status == 409 and said.get("reason") == "AlreadyExists":
        return f"{what} exists already in {where}."
    if status == 409:
        return f"{what} in {where} was changed by somebody else at the same time ({message}). Try again."
    if status in (400, 422):
        return f"The cluster refuses {what} in {where}: {_causes(details) or message}."
    return (
        f"The cluster at {access.host} refuses to {request.verb} {what} in {where} with {status} "
        f"({message or 'no reason given'})."
    )


def _not_there(details: Mapping[str, Any], what: str, where: str, request: Request, access: Access) -> str:
    if details.get("kind") == "namespaces":
        return f"Namespace {details.get('name')} does not exist. Name another with --namespace, or have it made."
    if details.get("name"):
        return f"There is no {what} in {where}."
    resource = request.resource
    return (
        f"The cluster at {access.host} does not know {resource.plural} of {resource.api_version} ({what} in {where})."
    )


def _no_right(message: str, request: Request, access: Access) -> str:
    resource = request.resource
    user = re.search(r'User "([^"]*)"', message)
    # What the API says is missing may be another thing than what was asked: a Role that gives more than its maker has
    missing = re.search(r'cannot (\w+) resource "([^"]*)"', message)
    verb, plural = missing.groups() if missing else (request.verb, resource.plural)
    group = resource.api_version.rpartition("/")[0]
    extra = f" of {group}" if group else ""
    scope = f" -n {access.namespace}" if resource.namespaced else ""
    return (
        f"No right to {verb} {plural}{extra} in {_where(request, access)} "
        f"({f'user {user.group(1)}' if user else access.who}). Ask the cluster's owner for it (k8s/README.md lists all "
        f"that are needed), and check: kubectl auth can-i {verb} {plural}{scope}"
    )


def _where(request: Request, access: Access) -> str:
    return f"namespace {access.namespace}" if request.resource.namespaced else "the cluster"


def _causes(details: Mapping[str, Any]) -> str:
    causes = details.get("causes") or []
    return "; ".join(f"{each.get('field')}: {one_line(str(each.get('message')))}" for each in causes)


def _status_object(body: Any) -> Mapping[str, Any]:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        found = json.loads(text)
    except ValueError:
        return {"message": text[:300]}
    return found if isinstance(found, dict) else {}


def one_line(text: str) -> str:
    """Return a text on one line, without a full stop at its end."""
    return " ".join(text.split()).rstrip(".")
