"""Calls to all servers at once: replies in order, and the error that says most."""

import threading
from concurrent.futures import Future

import pytest

from esmm_dist.errors import ConfigError, GenerationOverError, RetryError, ServerLostError, WorkerLostError
from esmm_dist.parameter_server.config import ConnectionConfig
from esmm_dist.parameter_server.server_group import ServerGroup, _replies

ADDRESSES = ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")


def group(servers: int = 3) -> ServerGroup:
    """Nothing is sent: a connection is made by its first call."""
    return ServerGroup(ConnectionConfig(servers=",".join(ADDRESSES[:servers])))


@pytest.mark.parametrize("servers", [1, 3])
def test_replies_come_in_the_order_of_the_servers_whoever_answers_first(servers):
    made, answered = group(servers), [threading.Event() for _ in range(servers + 1)]
    answered[servers].set()

    def call(index, connection):
        answered[index + 1].wait(10)  # the last server answers first
        answered[index].set()
        return index, connection.name

    assert made.call(call) == [(i, f"server {i}/{servers} ({ADDRESSES[i]})") for i in range(servers)]
    assert [connection.name for connection in made] == [name for _, name in made.call(call)]
    assert len(made) == servers
    made.close()


@pytest.mark.parametrize("telling", [GenerationOverError("over"), ServerLostError("lost")])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_has_happened_to_the_run_goes_before_a_server_that_cannot_be_reached(telling, place):
    errors: list[Exception] = [RetryError("cannot be reached")] * 2
    errors.insert(place, telling)
    futures: list[Future[None]] = []
    for error in errors:
        futures.append(Future())
        futures[-1].set_exception(error)
    with pytest.raises(type(telling)) as raised:
        _replies(futures)
    assert raised.value is telling


def test_an_error_is_raised_before_the_other_servers_have_answered():
    made, free = group(), threading.Event()

    def call(index, connection):
        if index == 1:
            raise RetryError("server 1 is gone")
        assert free.wait(10)

    with pytest.raises(RetryError, match="server 1 is gone"):
        made.call(call)
    free.set()
    made.close()


@pytest.mark.parametrize("end", [ServerGroup.interrupt, ServerGroup.close])
@pytest.mark.parametrize("servers", [1, 2])
def test_no_call_begins_after_an_interrupt(end, servers):
    made = group(servers)
    end(made)
    with pytest.raises(WorkerLostError, match="The call was interrupted: another rank ended, or the store is closed"):
        made.call(lambda index, connection: pytest.fail("it was called"))
    made.close()
    made.close()


def test_rows_in_the_training_process_have_no_servers():
    with pytest.raises(ConfigError, match="servers is 'embedded': there are no servers to connect to"):
        ServerGroup(ConnectionConfig())
