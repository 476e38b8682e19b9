"""Which run a server serves: opened, joined, fenced, resumed, closed; and what each refuses."""

import json
from typing import Any

import pytest

from esmm_dist.errors import ConfigError, GenerationOverError, ServerLostError
from esmm_dist.parameter_server.config import ServerConfig
from esmm_dist.parameter_server.headers import OpenHeader, RunHeader
from esmm_dist.parameter_server.refusals import NotReadyError, RequestError
from esmm_dist.parameter_server.run_lifecycle import IN_USE_S, RunLifecycle


class Server:
    """A lifecycle with a clock and a log of its own."""

    def __init__(self, *, root: str | None = None) -> None:
        self.now = 0.0
        self.busy = False
        self.log: list[str] = []
        config = ServerConfig(index=0, count=1, root=root)
        self.lifecycle = RunLifecycle(config, self.log.append, lambda: self.now, check_idle=self.check_idle)

    def check_idle(self) -> None:
        if self.busy:
            raise NotReadyError("a restore whose client is gone is still running")


@pytest.fixture
def server():
    made = Server()
    yield made
    made.lifecycle.close()


def opened(**changes: Any) -> OpenHeader:
    known = {
        "run": "/runs/a", "location": "/runs/a", "generation": 1, "index": 0, "count": 1, "world_size": 2,
        "update_mode": "sync", "max_staleness_steps": 1, "first_step": 0, "keep_undo": True, "tables": ("main",),
        "embedding": {"embedding_dim": 2}, "seed": 1,
    }  # fmt: skip
    return OpenHeader(**{**known, **changes})


def call(generation: int, run: str = "/runs/a") -> RunHeader:
    return RunHeader(run=run, generation=generation)


def test_a_run_is_opened_once_and_every_rank_finds_it_open(server):
    for _ in range(2):
        assert server.lifecycle.open_run(opened()) == b"{}"
    assert server.lifecycle.join_run(opened()) == b"{}"
    assert server.lifecycle.run_of(call(1)) is server.lifecycle.run
    assert server.lifecycle.generation == 1
    assert server.log == ["Opened run /runs/a, generation 1: 2 ranks, sync, tables main"]


@pytest.mark.parametrize("act", ["open_run", "join_run"])
def test_a_rank_with_other_settings_is_refused(server, act):
    server.lifecycle.open_run(opened())
    with pytest.raises(RequestError, match="was opened as generation 1 with other settings by another rank"):
        getattr(server.lifecycle, act)(opened(seed=2))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"index": 1, "count": 2}, "this is server 0/1, and the client lists it as 1/2"),
        ({"count": 2}, "this is server 0/1, and the client lists it as 0/2"),
        ({"tables": ()}, r"tables \[\]: names are of letters"),
        ({"tables": ("a", "a")}, "names are of letters, digits, '_' and '-', each once"),
        ({"tables": ("../a",)}, "names are of letters"),
        ({"world_size": 0}, "world_size and max_staleness_steps are 1 or more, first_step is 0 or more"),
        ({"max_staleness_steps": 0}, "world_size and max_staleness_steps are 1 or more"),
        ({"first_step": -1}, "first_step is 0 or more"),
        ({"location": "runs/a"}, "give an absolute path or a URI"),
    ],
)
@pytest.mark.parametrize("act", ["open_run", "resume_run"])
def test_a_run_that_cannot_be_served_is_refused_and_opens_nothing(server, act, changes, text):
    with pytest.raises(RequestError, match=text):
        getattr(server.lifecycle, act)(opened(**changes))
    assert server.lifecycle.run is None


def test_settings_of_rows_are_checked_as_a_client_checks_them(server):
    with pytest.raises(ConfigError, match="embedding_dim is 0. An embedding row needs at least 1 column"):
        server.lifecycle.open_run(opened(embedding={"embedding_dim": 0}))


def test_a_run_outside_the_root_is_refused(tmp_path):
    server = Server(root=str(tmp_path))
    with pytest.raises(RequestError, match="'/runs/a' is not below this server's --root"):
        server.lifecycle.open_run(opened())
    server.lifecycle.open_run(opened(location=f"{tmp_path}/a"))


def test_a_newer_generation_replaces_a_run_and_an_older_one_is_over(server):
    server.lifecycle.open_run(opened(generation=3))
    first = server.lifecycle.run
    server.lifecycle.open_run(opened(generation=4))
    assert server.lifecycle.run is not first
    for act in (server.lifecycle.open_run, server.lifecycle.join_run):
        with pytest.raises(GenerationOverError, match="generation 3 is over"):
            act(opened(generation=3))
    with pytest.raises(GenerationOverError, match="is at generation 4, and the call is of generation 3"):
        server.lifecycle.run_of(call(3))
    with pytest.raises(ServerLostError, match="is open here as generation 4, not as 5"):
        server.lifecycle.join_run(opened(generation=5))


def test_another_run_waits_until_the_open_one_is_closed_or_silent_for_a_minute(server):
    server.lifecycle.open_run(opened())
    other = opened(run="/runs/b", location="/runs/b", generation=2)
    server.now = IN_USE_S - 1
    for act in (lambda: server.lifecycle.open_run(other), lambda: server.lifecycle.fence(call(2, "/runs/b"))):
        with pytest.raises(RequestError, match=r"in use by run '/runs/a' \(last call 59 s ago\)"):
            act()
    server.lifecycle.run_of(call(1))  # a call of the run: it is alive
    server.now = 2 * IN_USE_S - 2
    with pytest.raises(RequestError, match="in use by run '/runs/a'"):
        server.lifecycle.open_run(other)
    server.now = 2 * IN_USE_S - 1
    server.lifecycle.open_run(other)
    assert server.lifecycle.idle_s == 0.0
    with pytest.raises(ServerLostError, match="run '/runs/a' is not open here, run '/runs/b' is"):
        server.lifecycle.run_of(call(1))


def test_a_run_is_not_replaced_while_a_forgotten_restore_fills_it(server):
    server.lifecycle.open_run(opened())
    run, server.busy = server.lifecycle.run, True
    with pytest.raises(NotReadyError, match="still running"):
        server.lifecycle.open_run(opened(generation=2))
    assert server.lifecycle.run is run


@pytest.mark.parametrize("act", ["join_run", "resume_run"])
def test_only_opening_opens(server, act):
    with pytest.raises(ServerLostError, match="run '/runs/a' is not open here, no run is"):
        getattr(server.lifecycle, act)(opened())


def test_a_fence_answers_with_the_steps_and_ends_what_was_before(server):
    server.lifecycle.open_run(opened(first_step=7))
    state = json.loads(server.lifecycle.fence(call(2)))
    assert state == {
        "open": True, "steps": {"main": 7}, "undoable": {"main": None}, "world_size": 2, "update_mode": "sync",
    }  # fmt: skip
    with pytest.raises(GenerationOverError, match="is at generation 2"):
        server.lifecycle.run_of(call(1))
    with pytest.raises(RequestError, match="generation 2, with which the run has not resumed yet"):
        server.lifecycle.run_of(call(2))
    assert json.loads(server.lifecycle.fence(call(2))) == state  # the first answer was lost
    with pytest.raises(GenerationOverError, match="generation 1 of run '/runs/a' cannot begin: this server is at 2"):
        server.lifecycle.fence(call(1))


def test_a_fence_of_a_run_that_is_not_here_says_so(server):
    assert json.loads(server.lifecycle.fence(call(5)))["open"] is False
    server.lifecycle.open_run(opened(generation=5))  # nothing resumed from the fence, so it may be opened


def test_a_run_resumes_with_any_number_of_ranks_after_a_fence_only(server):
    server.lifecycle.open_run(opened())
    with pytest.raises(RequestError, match="cannot resume as generation 2 before a fence has ended generation 1"):
        server.lifecycle.resume_run(opened(generation=2))
    server.lifecycle.fence(call(2))
    resumed = opened(generation=2, world_size=5)
    free = {"undone_steps": 0, "lost_steps": 0, "repeated_steps": 0}
    for _ in range(2):  # the second time because the answer was lost
        assert json.loads(server.lifecycle.resume_run(resumed)) == free
    assert server.lifecycle.join_run(resumed) == b"{}"
    assert server.lifecycle.run_of(call(2)).opened.world_size == 5
    assert server.log[-1] == (
        "Run /runs/a resumes after step 0 as generation 2: 5 ranks; steps undone 0, lost 0, repeated 0"
    )
    with pytest.raises(GenerationOverError, match="generation 1 is over: the run is at 2"):
        server.lifecycle.resume_run(opened())
    with pytest.raises(GenerationOverError, match="cannot begin: this server is at 2"):
        server.lifecycle.fence(call(2))  # it has been taken


def test_a_run_whose_rows_were_not_restored_cannot_resume(server, monkeypatch):
    server.lifecycle.open_run(opened())
    monkeypatch.setattr(server.lifecycle.run, "_whole", False)
    assert json.loads(server.lifecycle.fence(call(2)))["open"] is False
    with pytest.raises(ServerLostError, match="the rows of run '/runs/a' were never fully restored here"):
        server.lifecycle.resume_run(opened(generation=2))


def test_a_run_is_closed_once_and_a_late_close_of_it_does_nothing(server):
    server.lifecycle.open_run(opened(generation=2))
    for generation in (2, 2, 1):
        assert server.lifecycle.close_run(call(generation)) == b"{}"
    assert server.lifecycle.run is None
    with pytest.raises(ServerLostError, match="is not open here, no run is"):
        server.lifecycle.close_run(call(3))
    assert server.log.count("Closed run /runs/a") == 1


def test_nobody_closes_a_run_that_is_at_a_newer_generation(server):
    server.lifecycle.open_run(opened(generation=2))
    with pytest.raises(GenerationOverError, match="is at generation 2"):
        server.lifecycle.close_run(call(1))
    assert server.lifecycle.run is not None


@pytest.mark.parametrize("change", [{"keep_undo": False}, {"seed": 3}, {"tables": ("main", "other")}])
def test_a_run_resumes_with_the_settings_that_it_was_opened_with(server, change: dict[str, Any]):
    server.lifecycle.open_run(opened())
    server.lifecycle.fence(call(2))
    with pytest.raises(RequestError, match="was opened with another .* than it is to resume with"):
        server.lifecycle.resume_run(opened(generation=2, **change))
    assert server.lifecycle.resume_run(opened(generation=2))  # nothing was changed
