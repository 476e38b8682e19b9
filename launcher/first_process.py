"""``esmm`` as the first process of a container.

The kernel spares the first process (pid 1) each signal that it has no handler for: SIGTERM would not end it, and
``docker stop`` would wait out its time and kill. So the first process only starts ``esmm`` again as its child, passes
signals on, collects what has ended, and ends as the child has ended.
"""

import os
import signal
import sys

PASSED_ON = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT}
)

_OF_KERNEL = 0x80  # si_code SI_KERNEL: of the terminal, which sends it to the child too


def run_as_child_of_first_process() -> None:
    """In the first process of a container, run this very command line as a child and exit; elsewhere do nothing."""
    if os.getpid() != 1:
        return
    # Blocked, so that they wait here: also those without a handler
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON | {signal.SIGCHLD})
    child = os.posix_spawn(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ, setsigmask=[])
    sys.exit(_see_to(child))


def _see_to(child: int) -> int:
    """Pass signals on until a child has ended; return its exit status, as a shell would show it."""
    while True:
        came = signal.sigwaitinfo(PASSED_ON | {signal.SIGCHLD})
        if came.si_signo != signal.SIGCHLD:
            if came.si_code != _OF_KERNEL:
                os.kill(child, came.si_signo)
            continue
        status = _collect(child)
        if status is not None:
            return status if status >= 0 else 128 - status


def _collect(child: int) -> int | None:
    """Collect all that have ended; return how the child has, None if it has not."""
    status = None
    while True:
        try:
            pid, how = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = os.waitstatus_to_exitcode(how)
