"""What the endpoint for metrics and health answers."""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from esmm_dist.errors import ConfigError
from esmm_dist.parameter_server.config import ServerConfig
from esmm_dist.parameter_server.metrics_endpoint import MetricsEndpoint
from esmm_dist.parameter_server.service import FlightSettings, ParameterService
from esmm_dist.progress import NoProgress

# urlopen would keep a proxy that the environment named when another test called it for the first time
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def service() -> Iterator[ParameterService]:
    settings = FlightSettings(location="grpc://127.0.0.1:0", tls={}, middleware={})
    made = ParameterService(ServerConfig(index=0, count=1), NoProgress(), settings)
    yield made
    made.close()
    made.shutdown()


def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    try:
        with DIRECT.open(f"http://{host}:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def test_a_server_without_a_run_is_healthy_and_not_ready(service):
    endpoint = MetricsEndpoint(service.stats, why_not_ready=service.why_not_ready, host="127.0.0.1", port=0)
    assert get(endpoint.port, "/healthz") == (200, "serving\n")
    assert get(endpoint.port, "/readyz") == (503, "no run is open here yet\n")
    status, figures = get(endpoint.port, "/metrics")
    assert status == 200
    assert 'esmm_server_rows{server="0"} 0.0' in figures
    endpoint.close()
    endpoint.close()


def test_readiness_is_asked_at_each_request(service):
    whys = ["the rows of run 'r' are not whole", ""]
    endpoint = MetricsEndpoint(service.stats, why_not_ready=lambda: whys.pop(0), host="127.0.0.1", port=0)
    assert get(endpoint.port, "/readyz") == (503, "the rows of run 'r' are not whole\n")
    assert get(endpoint.port, "/readyz") == (200, "ready\n")
    endpoint.close()


def test_a_client_that_says_nothing_holds_up_nobody(service):
    endpoint = MetricsEndpoint(service.stats, why_not_ready=service.why_not_ready, host="::1", port=0)
    with socket.create_connection(("::1", endpoint.port)):
        assert get(endpoint.port, "/healthz", "[::1]") == (200, "serving\n")
    endpoint.close()


def test_a_port_that_is_taken_is_refused_by_name(service):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"metrics_port {port} on 127.0.0.1 is refused"):
            MetricsEndpoint(service.stats, why_not_ready=service.why_not_ready, host="127.0.0.1", port=port)
