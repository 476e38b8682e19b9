"""Which agents are wanted, which leave, and what the driver is told of them."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from launcher.local.agent_places import AgentPlaces
from launcher.local.workspace import Workspace
from launcher.processes.process_plan import ProcessPlan
from tests.unit.launcher.local.played_processes import PlayedChild


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(folder=tmp_path)


@pytest.fixture
def places(workspace) -> AgentPlaces:
    return AgentPlaces(workspace)


def start_all(places: AgentPlaces) -> None:
    for number, agent in enumerate(places.places):
        agent.start = number + 1
        agent.note_start(PlayedChild(ProcessPlan(name=agent.name, command=(), environment={}), {}, is_server=False))  # type: ignore[arg-type]


def names(places: AgentPlaces) -> list[str]:
    return [agent.name for agent in places.places]


def written(workspace: Workspace) -> object:
    return json.loads(workspace.agents_file.read_text())


def test_so_many_places_are_made_numbered_from_zero(places):
    assert places.scale(3) == []
    assert names(places) == ["worker-0", "worker-1", "worker-2"]
    assert all(agent.due for agent in places.places)


def test_those_with_the_highest_numbers_leave(places):
    places.scale(3)
    start_all(places)
    assert [agent.name for agent in places.scale(1)] == ["worker-1", "worker-2"]
    assert [agent.wanted for agent in places.places] == [True, False, False]


def test_a_number_is_given_again_only_after_its_agent_has_left(places):
    places.scale(2)
    start_all(places)
    [leaving] = places.scale(1)
    places.drop_ended()
    places.scale(2)
    assert names(places) == ["worker-0", "worker-1", "worker-2"]  # worker-1 still leaves
    leaving.child.end()
    leaving.child.reap()
    leaving.note_end()
    places.drop_ended()
    assert names(places) == ["worker-0", "worker-2"]
    places.scale(3)
    assert names(places) == ["worker-0", "worker-1", "worker-2"]


def test_an_agent_that_waits_to_be_started_again_keeps_its_place(places):
    places.scale(1)
    places.drop_ended()
    assert names(places) == ["worker-0"]


def test_the_driver_is_told_how_many_are_wanted_and_where_those_are_that_listen(places, workspace):
    places.scale(2)
    places.write()
    assert written(workspace) == {"wanted": 2, "agents": {}}
    start_all(places)
    workspace.agent_address_file(2).write_text("127.0.0.1:9\n")
    workspace.agent_address_file(7).write_text("127.0.0.1:7\n")  # an earlier start of nobody
    places.write()
    assert written(workspace) == {"wanted": 2, "agents": {"worker-1": "127.0.0.1:9"}}


def test_an_agent_that_has_ended_is_not_listed_though_its_file_is_there(places, workspace):
    places.scale(1)
    start_all(places)
    workspace.agent_address_file(1).write_text("127.0.0.1:9\n")
    [agent] = places.places
    agent.child.end()
    agent.child.reap()
    places.write()
    assert written(workspace) == {"wanted": 1, "agents": {}}


def test_the_file_is_written_only_when_it_changes(places, workspace):
    places.scale(1)
    places.write()
    workspace.agents_file.unlink()
    places.write()
    assert not workspace.agents_file.exists()
    places.scale(2)
    places.write()
    assert written(workspace) == {"wanted": 2, "agents": {}}


@given(steps=st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=12))
def test_whatever_was_asked_for_before_so_many_are_wanted_each_with_a_number_of_its_own(tmp_path_factory, steps):
    places = AgentPlaces(Workspace(folder=tmp_path_factory.mktemp("places")))
    for count, those_that_leave_have_left in steps:
        before = {agent.index for agent in places.places if agent.wanted}
        leaving = places.scale(count)
        start_all(places)
        wanted = {agent.index for agent in places.places if agent.wanted}
        indexes = [agent.index for agent in places.places]
        assert len(wanted) == count
        assert indexes == sorted(set(indexes))
        # The lowest numbers stay
        assert {agent.index for agent in leaving} == set(sorted(before)[count:])
        assert set(sorted(before)[:count]) <= wanted
        if those_that_leave_have_left:
            for agent in places.places:
                if not agent.wanted and agent.child is not None:
                    agent.child.end()  # type: ignore[attr-defined]
                    agent.child.reap()
            places.drop_ended()
            assert {agent.index for agent in places.places} == wanted
