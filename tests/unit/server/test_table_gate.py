"""Readers side by side, writers alone."""

import threading

import pytest

from esmm_dist.server.table_gate import GateClosedError, TableGate


def test_two_readers_are_in_at_once():
    gate, both = TableGate(), threading.Barrier(2, timeout=10)

    def read() -> None:
        with gate.reading():
            both.wait()  # is passed only if the other one is in as well

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not both.broken


def test_a_writer_waits_for_readers_and_new_readers_wait_for_it():
    gate, order = TableGate(), []
    in_writing = threading.Event()

    def write() -> None:
        with gate.writing():
            in_writing.set()
            order.append("write")

    def read() -> None:
        with gate.reading(timeout_s=10):
            order.append("read")

    with gate.reading():
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
    gate, step, seen = TableGate(), [0], []

    def read() -> None:
        with gate.reading(lambda: step[0] == 2, timeout_s=10):
            seen.append(step[0])

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(2):
        with gate.writing():
            step[0] += 1
    reader.join(10)
    assert seen == [2]


def test_a_condition_that_nobody_brings_about_ends_in_a_timeout():
    with pytest.raises(TimeoutError), TableGate().reading(lambda: False, timeout_s=0.01):
        pass


def test_a_closed_gate_wakes_and_refuses_everyone():
    gate, error = TableGate(), []

    def read() -> None:
        try:
            with gate.reading(lambda: False, timeout_s=60):
                pass
        except GateClosedError as e:
            error.append(e)

    reader = threading.Thread(target=read)
    reader.start()
    gate.close()
    reader.join(10)
    assert len(error) == 1
    with pytest.raises(GateClosedError), gate.writing():
        pass
    gate.close()


def test_an_error_within_leaves_the_gate_usable():
    gate = TableGate()
    for enter in (gate.reading, gate.writing):
        with pytest.raises(ZeroDivisionError), enter():
            raise ZeroDivisionError
    with gate.writing():
        pass
