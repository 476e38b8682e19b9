from types import SimpleNamespace

from launcher.driver.rendezvous_store import RendezvousStore


def test_the_values_of_a_scope_go_when_all_its_ranks_are_connected():
    store = RendezvousStore()
    slot = SimpleNamespace(hostname="h", size=2, local_size=1, local_rank=0, cross_size=2)
    store.begin([slot, slot])
    store.put("global", "0", b"a")
    store.put("cross_0", "0", b"c")
    store.finish("global", "0")
    store.finish("global", "0")  # the same one again
    assert store.get("global", "0") == b"a"
    store.finish("global", "1")
    assert (store.get("global", "0"), store.get("cross_0", "0")) == (None, b"c")
    store.begin([slot])
    assert store.get("cross_0", "0") is None


def test_in_a_scope_of_no_ranks_a_value_goes_by_itself():
    store = RendezvousStore()
    store.put("other", "0", b"a")
    store.put("other", "1", b"b")
    store.finish("other", "0")
    store.finish("other", "0")  # nothing is left of it
    assert (store.get("other", "0"), store.get("other", "1")) == (None, b"b")


def test_the_next_rendezvous_counts_its_ranks_anew():
    store = RendezvousStore()
    pair = [SimpleNamespace(hostname=f"h{n}", size=2, local_size=1, local_rank=0, cross_size=2) for n in range(2)]
    store.begin(pair)
    store.finish("global", "0")
    store.begin(pair)
    store.put("global", "0", b"a")
    store.finish("global", "1")
    assert store.get("global", "0") == b"a"  # rank 0 is not connected this time
    store.finish("global", "0")
    assert store.get("global", "0") is None
