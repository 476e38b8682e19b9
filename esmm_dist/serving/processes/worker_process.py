"""The program of one worker process: answers requests, and loads versions as the supervising process says.

::

    python -m esmm_dist.serving.processes.worker_process CHANNEL PORT     numbers of descriptors
"""

import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from esmm_dist.config import build
from esmm_dist.errors import EsmmError
from esmm_dist.kernels.threads import limit_threads
from esmm_dist.process.low_priority import lower_priority_of_this_thread
from esmm_dist.process.paused_collection import paused_collection
from esmm_dist.process.quiet import import_tensorflow
from esmm_dist.process.system_refusal import refusal
from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.processes.worker_channel import WorkerChannel
from esmm_dist.serving.versions.loaded_versions import LoadedVersions
from esmm_dist.serving.versions.offered_version import OfferedVersion


def main(descriptors: list[int]) -> int:
    """Run the worker until SIGTERM; return its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = WorkerChannel(socket.socket(fileno=descriptors[0]))
    listening = socket.socket(fileno=descriptors[1])
    first = channel.receive_first()
    config = build(ServeConfig, first["settings"], where="settings of the worker")
    import_tensorflow().config.set_visible_devices([], "GPU")  # the networks are small: a GPU's way is longer
    limit_threads(config.threads)
    with paused_collection():
        from esmm_dist.serving.http.http_server import ScoringServer
        from esmm_dist.serving.metrics import ServingMetrics
        from esmm_dist.serving.versions.version_loading import VersionLoading

    versions, metrics = LoadedVersions(), ServingMetrics(Path(first["counts"]))
    server = ScoringServer(versions, config, metrics)
    serves = threading.Event()
    link = _Link(channel, versions, VersionLoading(versions, metrics), serves)
    threading.Thread(target=link.run, name="versions", daemon=True).start()
    channel.send({"is": "started"})
    serves.wait()
    server.run([listening])
    return 0


class _Link:
    """Does what the supervising process says, in a thread of its own."""

    def __init__(self, channel: WorkerChannel, versions: LoadedVersions, loading: Any, serves: threading.Event) -> None:
        self._channel, self._versions, self._loading, self._serves = channel, versions, loading, serves

    def run(self) -> None:
        """Read messages until the other end is gone, which ends this process, too."""
        lower_priority_of_this_thread()
        while not self._channel.ended:  # the kernel ends this process with the other one
            for message in self._channel.receive():
                match message["do"]:
                    case "serve":
                        self._serves.set()
                    case "wait":
                        self._versions.wait_for(str(message["reason"]))
                    case "load":
                        self._load(OfferedVersion.from_mapping(message["version"]), bool(message["check"]))

    def _load(self, offered: OfferedVersion, check: bool) -> None:
        try:
            facts = self._loading.load(offered, check=check)
        except EsmmError as e:
            self._refuse(str(e))
        except OSError as e:
            self._refuse(refusal(e, offered.folders[-1]) or f"{e}.")
        except Exception as e:
            traceback.print_exc()
            self._refuse(f"{type(e).__name__}: {e}.")
        else:
            self._channel.send({"is": "taken", **facts})

    def _refuse(self, reason: str) -> None:
        self._channel.send({"is": "refused", "reason": reason})


if __name__ == "__main__":
    sys.exit(main([int(word) for word in sys.argv[1:]]))
