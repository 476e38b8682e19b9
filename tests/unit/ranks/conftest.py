import pytest


@pytest.fixture
def environment(monkeypatch):
    """The environment of a process that no launcher of ranks has started."""
    for name in ("HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_ELASTIC", "HOROVOD_GLOO_RENDEZVOUS_ADDR", "ESMM_RENDEZVOUS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch
