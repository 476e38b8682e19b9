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
    # Blocked, so that they wait: also those without a handler. A thread of a library, which does not block them, would
    # take them and drop them: so this process becomes one that has no other thread, and 10 MB instead of 55
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON | {signal.SIGCHLD})
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, *sys.orig_argv[1:]])


def _start(arguments: list[str]) -> int:
    """Start Python with these arguments as a child, and return its process id."""
    return os.posix_spawn(sys.executable, [sys.executable, *arguments], os.environ, setsigmask=[])


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


if __name__ == "__main__":
    sys.exit(_see_to(_start(sys.argv[1:])))
