"""Handlers of signals: installed, restored, and what comes meanwhile is neither lost nor in the way of locks."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from esmm_dist.process.signals import Interrupts, SignalInbox, StoppedBySignal, handling, stop_signals

STOPS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (*STOPS, signal.SIGCHLD)]


def send(number: int) -> None:
    """Send this process a signal, and give Python the chance to handle it."""
    os.kill(os.getpid(), number)


def in_other_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.fixture
def ignored():
    """Ignore a signal for the test."""
    before = {}

    def ignore(number: signal.Signals) -> None:
        before[number] = signal.signal(number, signal.SIG_IGN)

    yield ignore
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_hang_up_asks_to_stop_unless_it_is_ignored_from_the_start(ignored):
    assert stop_signals() == STOPS
    ignored(signal.SIGHUP)  # as nohup does
    assert stop_signals() == [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", STOPS)
def test_a_handler_receives_each_signal_within_its_block_and_none_after(number):
    before, came = handlers(), []
    with handling(lambda number, frame: came.append(number)):
        send(number)
        send(number)
    assert came == [number, number]
    assert handlers() == before


def test_only_the_signals_that_are_named_are_handled():
    came: list[int] = []
    with handling(lambda number, frame: came.append(number), [signal.SIGTERM]):
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        send(signal.SIGTERM)
    assert came == [signal.SIGTERM]


def test_handlers_are_restored_after_an_exception():
    before = handlers()
    with pytest.raises(ZeroDivisionError), handling(lambda number, frame: 1 / 0):
        send(signal.SIGTERM)
    assert handlers() == before


def test_handlers_are_restored_if_one_of_them_cannot_be_installed():
    before = handlers()
    with pytest.raises(OSError, match="Invalid argument"), handling(lambda *_: None, [signal.SIGTERM, signal.SIGKILL]):
        pytest.fail("the block is not entered")
    assert handlers() == before


def test_blocks_may_be_nested_and_the_inner_one_receives_the_signal():
    outer: list[int] = []
    inner: list[int] = []
    with handling(lambda number, frame: outer.append(number)):
        with handling(lambda number, frame: inner.append(number)):
            send(signal.SIGTERM)
        send(signal.SIGHUP)
    assert (inner, outer) == ([signal.SIGTERM], [signal.SIGHUP])


def test_outside_the_main_thread_all_signals_are_left_alone():
    before, found = handlers(), []

    def look() -> None:
        with handling(lambda *_: None), SignalInbox() as inbox, Interrupts().installed():
            found.append((handlers(), inbox.take()))

    in_other_thread(look)
    assert found == [(before, [])]


@pytest.mark.parametrize("number", STOPS)
def test_an_inbox_becomes_readable_with_a_signal_and_notes_it_once(number):
    before = handlers()
    with SignalInbox() as inbox:
        assert select.select([inbox], [], [], 0)[0] == []
        send(number)
        assert select.select([inbox], [], [], 5)[0] == [inbox]
        assert inbox.take() == [number]
        assert inbox.take() == []
        assert select.select([inbox], [], [], 0)[0] == []
    assert handlers() == before


def test_an_inbox_keeps_the_order_of_signals():
    with SignalInbox() as inbox:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            send(number)
        assert inbox.take() == [signal.SIGHUP, signal.SIGTERM, signal.SIGHUP]


def test_the_end_of_a_child_wakes_an_inbox_and_asks_nobody_to_stop():
    with SignalInbox() as inbox:
        subprocess.run(["true"], check=True)
        assert select.select([inbox], [], [], 5)[0] == [inbox]
        assert inbox.take() == []


def test_waiting_returns_the_first_signal_also_one_that_came_before():
    with SignalInbox() as inbox:
        send(signal.SIGHUP)
        send(signal.SIGTERM)
        assert inbox.wait() == signal.SIGHUP


def test_waiting_goes_on_through_the_end_of_a_child():
    with SignalInbox() as inbox:
        subprocess.run(["true"], check=True)
        sender = threading.Timer(0.05, send, [signal.SIGTERM])
        sender.start()
        assert inbox.wait() == signal.SIGTERM
        sender.join()


def test_an_inbox_gives_the_wake_up_descriptor_back():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    try:
        with SignalInbox():
            pass
        assert signal.set_wakeup_fd(writer) == writer
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("number", STOPS)
def test_an_interrupt_raises_where_the_signal_comes(number):
    with Interrupts().installed(), pytest.raises(StoppedBySignal) as caught:
        send(number)
    assert caught.value.number is number
    assert isinstance(caught.value, KeyboardInterrupt)  # so that no "except Exception" takes it


def test_a_held_block_runs_to_its_end_and_raises_the_last_signal_there():
    interrupts, done = Interrupts(), []

    def work() -> None:
        with interrupts.installed():
            with interrupts.held():
                send(signal.SIGTERM)
                send(signal.SIGHUP)
                done.append("the block")
            done.append("after it")

    with pytest.raises(StoppedBySignal) as caught:
        work()
    assert done == ["the block"]
    assert caught.value.number is signal.SIGHUP


def test_a_held_block_without_a_signal_raises_nothing_and_holds_nothing_later():
    interrupts = Interrupts()
    with interrupts.installed():
        with interrupts.held():
            pass
        with pytest.raises(StoppedBySignal):
            send(signal.SIGTERM)


def test_a_sigint_that_is_ignored_stays_ignored(ignored):
    ignored(signal.SIGINT)  # as a shell does for what it starts in the background
    with Interrupts().installed():
        send(signal.SIGINT)
        with pytest.raises(StoppedBySignal):
            send(signal.SIGTERM)


def test_a_process_that_waits_ends_with_the_name_of_the_signal():
    program = (
        "from esmm_dist.process.signals import SignalInbox\n"
        "with SignalInbox() as inbox:\n    print('waits', flush=True)\n    print(inbox.wait().name)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "SIGTERM\n"
        assert time.monotonic() < started + 5  # woken by the signal, not by a poll
    assert process.returncode == 0
