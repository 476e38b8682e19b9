"""A signal is noted, and the handlers are put back."""

import os
import signal
import threading

import pytest

from esmm_dist.train.stop_signal import StopSignal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_first_signal_is_noted_by_name_and_does_nothing_else(number):
    before = signal.getsignal(number)
    with StopSignal() as stop:
        assert stop.name is None
        os.kill(os.getpid(), number)
        assert stop.name == number.name
    assert signal.getsignal(number) is before


def test_a_hang_up_that_is_ignored_from_the_start_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with StopSignal() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.name is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_where_ranks_come_and_go_a_hang_up_stops_all_and_sigterm_this_one():
    with StopSignal(elastic=True) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.leave
        os.kill(os.getpid(), signal.SIGHUP)
        assert (stop.name, stop.leave) == ("SIGHUP", False)


def test_later_sigterms_change_nothing():
    with StopSignal() as stop:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert stop.name == "SIGINT"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_sigint_after_a_signal_interrupts(first):
    before = signal.getsignal(signal.SIGINT)
    with StopSignal():
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_the_handlers_stay_as_they_are():
    found = []

    def run() -> None:
        with StopSignal() as stop:
            found.append((signal.getsignal(signal.SIGTERM), stop.name))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [(before, None)]
