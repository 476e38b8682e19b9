"""The relay signs the requests of gloo in this process, and of nobody else."""

from types import SimpleNamespace

from esmm_dist.ranks.rendezvous.client import RendezvousClient
from esmm_dist.ranks.rendezvous.relay import Relay
from launcher.driver.rendezvous_server import RendezvousServer
from tests.support.rendezvous_calls import TOKEN, ask


def test_the_relay_signs_for_gloo_and_for_nobody_else(place, client):
    relay = Relay(client)
    address, port = relay.environment["HOROVOD_GLOO_RENDEZVOUS_ADDR"], relay.environment["HOROVOD_GLOO_RENDEZVOUS_PORT"]
    here, prefix = f"{address}:{port}".split("/")  # of gloo's URL: http://ADDR:PORT/SCOPE/KEY
    assert here == f"127.0.0.1:{port}"
    relayed = SimpleNamespace(host="127.0.0.1", port=int(port))
    assert ask(relayed, "PUT", f"/{prefix}/global/0", b"value")[0] == 200
    assert ask(relayed, "GET", f"/{prefix}/global/0") == (200, b"value")
    assert ask(relayed, "GET", f"/{prefix}/global/1")[0] == 404
    for path in ("/global/0", f"/{prefix[:-1]}x/global/0", "/", "//global/0", f"/{'a' * len(prefix)}/global/0"):
        assert ask(relayed, "PUT", path, b"forged") == (403, b"")
    assert client.call("GET", "/global/0").body == b"value"
    relay.close()


def test_the_relay_says_when_the_rendezvous_is_gone():
    gone = RendezvousServer(TOKEN)
    relay = Relay(RendezvousClient(gone.start(), TOKEN))
    gone.stop()
    here, prefix = relay.environment["HOROVOD_GLOO_RENDEZVOUS_ADDR"].split("/")
    port = here.rpartition(":")[2]
    assert ask(SimpleNamespace(host="127.0.0.1", port=int(port)), "GET", f"/{prefix}:{port}/global/0")[0] == 502
    relay.close()
