"""``horovodrun`` that is told that Horovod has Gloo and no MPI, as launcher/setup builds it.

By itself it finds out in two processes that import TensorFlow: five seconds of a core at each start.
"""

import sys

from horovod.runner import launch


def main() -> None:
    """Run it with the arguments of this process."""
    vars(launch).update(gloo_built=lambda verbose=False: True, mpi_built=lambda verbose=False: False)
    sys.exit(launch.run_commandline())


if __name__ == "__main__":
    main()
