"""Readers side by side, writers alone."""

import threading

import pytest

from esmm_dist.parameter_server.table_gate import GateClosedError, GatePassedError, TableGate


def test_two_readers_are_in_at_once():
    gate, both = TableGate(3), threading.Barrier(2, timeout=10)

    def read() -> None:
        with gate.reading(generation=3):
            both.wait()  # is passed only if the other one is in as well

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not both.broken


def test_a_writer_waits_for_readers_and_new_readers_wait_for_it():
    gate, order = TableGate(3), []
    in_writing = threading.Event()

    def write() -> None:
        with gate.writing(generation=3):
            in_writing.set()
            order.append("write")

    def read() -> None:
        with gate.reading(generation=3, timeout_s=10):
            order.append("read")

    with gate.reading(generation=3):
        writer = threading.Thread(target=write)
        writer.start()
        while not gate._writers_waiting:
            pass
        reader = threading.Thread(target=read)
        reader.start()
        assert not in_writing.is_set()
        order.append("first read")
    writer.join(10)
    reader.join(10)
    assert order == ["first read", "write", "read"]


def test_a_reader_waits_until_a_writer_has_brought_its_condition_about():
    gate, step, seen = TableGate(3), [0], []

    def read() -> None:
        with gate.reading(lambda: step[0] == 2, generation=3, timeout_s=10):
            seen.append(step[0])

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(2):
        with gate.writing(generation=3):
            step[0] += 1
    reader.join(10)
    assert seen == [2]


def test_a_condition_that_nobody_brings_about_ends_in_a_timeout():
    with pytest.raises(TimeoutError), TableGate(3).reading(lambda: False, generation=3, timeout_s=0.01):
        pass


def test_a_closed_gate_wakes_and_refuses_everyone():
    gate, error = TableGate(3), []

    def read() -> None:
        try:
            with gate.reading(lambda: False, generation=3, timeout_s=60):
                pass
        except GateClosedError as e:
            error.append(e)

    reader = threading.Thread(target=read)
    reader.start()
    gate.close()
    reader.join(10)
    assert len(error) == 1
    with pytest.raises(GateClosedError), gate.writing(generation=3):
        pass
    gate.close()


def test_an_error_within_leaves_the_gate_usable():
    gate = TableGate(3)
    for enter in (gate.reading, gate.writing):
        with pytest.raises(ZeroDivisionError), enter(generation=3):
            raise ZeroDivisionError
    with gate.writing(generation=3):
        pass


def test_a_fence_wakes_and_refuses_those_of_an_older_generation_and_no_others():
    gate, error, entered = TableGate(3), [], []

    def read_old() -> None:
        try:
            with gate.reading(lambda: False, generation=3, timeout_s=60):
                pass
        except GatePassedError as e:
            error.append(e.generation)

    def read_new() -> None:
        with gate.reading(lambda: bool(error), generation=4, timeout_s=60):
            entered.append(4)

    readers = [threading.Thread(target=read) for read in (read_old, read_new)]
    for reader in readers:
        reader.start()
    gate.fence(4)
    readers[0].join(10)
    assert error == [4]
    for enter in (gate.reading, gate.writing):
        with pytest.raises(GatePassedError, match="generation 4 has begun"), enter(generation=3):
            pass
    with gate.writing(generation=4):
        pass
    readers[1].join(10)
    assert entered == [4]


def test_a_fence_lets_whoever_is_within_finish_and_refuses_the_writer_that_waits_behind():
    gate, error = TableGate(3), []

    def write() -> None:
        try:
            with gate.writing(generation=3):
                pass
        except GatePassedError as e:
            error.append(e.generation)

    with gate.reading(generation=3):
        writer = threading.Thread(target=write)
        writer.start()
        while not gate._writers_waiting:
            pass
        gate.fence(4)
        writer.join(10)
        assert error == [4]
        with gate.reading(generation=4):  # the writer that gave up holds up nobody
            pass


def test_a_fence_of_an_older_generation_changes_nothing():
    gate = TableGate(3)
    gate.fence(2)
    with pytest.raises(GatePassedError, match="generation 3 has begun"), gate.writing(generation=2):
        pass
