"""Find the cluster: the one that a kubeconfig names, or the one that this pod runs in."""

import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esmm_dist.errors import ConfigError
from launcher.cluster.api.client import POD_LIMITS, USER_LIMITS, Api, Limits
from launcher.cluster.api.errors import Access, ClusterError, one_line

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where every pod finds ``token``, ``ca.crt`` and ``namespace``."""

POD_NAMESPACE = SERVICE_ACCOUNT / "namespace"
POD_ACCOUNT = "the service account of this pod"


def connect(namespace: str | None = None) -> Api:
    """Find the cluster: of KUBECONFIG or ~/.kube/config, else the one that this pod runs in. Nothing is asked yet.

    Args:
        namespace: namespace of objects whose own is not given. None: the context's, else ``default``

    Raises:
        ClusterError: No cluster is known, or the file that names it is of no use.
    """
    # Takes a second: not before a command needs it
    import yaml
    from kubernetes import client
    from kubernetes.config import incluster_config, kube_config
    from kubernetes.config.config_exception import ConfigException

    settings = client.Configuration()
    files = kubeconfig_files()
    try:
        if files:
            named = os.pathsep.join(str(each) for each in files)
            _, active = kube_config.list_kube_config_contexts(named)
            kube_config.load_kube_config(named, client_configuration=settings)
            found = active["context"].get("namespace") or "default"
            who = f"context '{active['name']}' of {named}"
        elif os.environ.get("KUBERNETES_SERVICE_HOST"):
            incluster_config.load_incluster_config(settings)
            found, who = POD_NAMESPACE.read_text(encoding="utf-8").strip(), POD_ACCOUNT
        else:
            asked = os.environ.get("KUBECONFIG")
            missing = f"KUBECONFIG is {asked}, which does not exist" if asked else "there is no ~/.kube/config"
            raise ClusterError(
                f"No cluster is known: {missing}, and this is no pod. Get a kubeconfig from the cluster's owner and "
                "set KUBECONFIG=FILE."
            )
    except (ConfigException, yaml.YAMLError, KeyError, TypeError, OSError) as e:
        named = os.pathsep.join(str(each) for each in files) or POD_ACCOUNT
        raise ClusterError(
            f"{named} cannot be used ({one_line(str(e))}). Get a new one from the cluster's owner; kubectl config "
            "view shows it."
        ) from e
    settings.proxy, settings.no_proxy = proxies_of(settings.host)
    return _api(settings, Access(host=settings.host, namespace=namespace or found, who=who), USER_LIMITS)


def connect_pod(
    namespace: str | None = None, *, folder: Path = SERVICE_ACCOUNT, environment: Mapping[str, str] = os.environ
) -> Api:
    """Find the cluster that this pod runs in, which is never reached through a proxy. Nothing is asked yet.

    The client reads the token for each call and the authority for each connection, for both are renewed.

    Args:
        namespace: namespace of the objects. None: the pod's
        folder: folder of the service account
        environment: names the API's host and port

    Raises:
        ConfigError: This process is in no pod, or in one that gets no token.
    """
    from kubernetes import client
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

    settings, token, authority = client.Configuration(), folder / "token", folder / "ca.crt"
    try:
        InClusterConfigLoader(token, authority, environ=environment).load_and_set(settings)
    except (ConfigException, OSError) as e:
        if not environment.get("KUBERNETES_SERVICE_HOST"):
            why = "KUBERNETES_SERVICE_HOST is not set"
        else:
            why = one_line(str(e)) if token.exists() else f"{token} does not exist"
        raise ConfigError(
            f"job is set, which asks the API of the cluster that this process runs in, but {why}. Run esmm driver in a "
            "pod whose service account mounts its token, or give --agents-file."
        ) from e
    settings.refresh_api_key_hook = lambda config: _read_token(config, token)
    settings.proxy = None
    access = Access(host=settings.host, namespace=namespace or _namespace(folder), who=POD_ACCOUNT, in_pod=True)
    return _api(settings, access, POD_LIMITS)


def proxies_of(host: str) -> tuple[str | None, str]:
    """Return the proxy that leads to an API server, and the hosts that are reached without it, as kubectl takes them.

    The library lets http_proxy lead to HTTPS hosts too, and forgets no_proxy.
    """
    found = urllib.request.getproxies_environment()
    without = [found["no"]] if "no" in found else []
    return found.get(host.partition(":")[0]), ",".join([*without, "localhost", "127.0.0.0/8", "::1"])


def kubeconfig_files() -> list[Path]:
    """Return the files that name clusters, of those that exist."""
    named = os.environ.get("KUBECONFIG")
    paths = [Path(each) for each in named.split(os.pathsep) if each] if named else [Path.home() / ".kube" / "config"]
    return [each for each in paths if each.is_file()]


def cluster_is_known() -> bool:
    """Return whether ``connect`` would find a cluster to ask."""
    return bool(kubeconfig_files() or os.environ.get("KUBERNETES_SERVICE_HOST"))


def _api(settings: Any, access: Access, limits: Limits) -> Api:
    from kubernetes import client

    settings.retries = False  # urllib3's own would come on top of ours
    return Api(client.ApiClient(settings), access, limits)


def _read_token(settings: Any, token: Path) -> None:
    """Take the token as it is now. One that cannot be read for a moment, while it is renewed, stays as it was."""
    try:
        settings.api_key["authorization"] = f"Bearer {token.read_text(encoding='utf-8').strip()}"
    except OSError:
        return


def _namespace(folder: Path) -> str:
    try:
        return (folder / "namespace").read_text(encoding="utf-8").strip()
    except OSError as e:
        raise ConfigError(f"{folder}/namespace cannot be read: {e.strerror}. Give --namespace.") from e
