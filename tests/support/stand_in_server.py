"""A process that answers with a model that scores are known of: ``python -m tests.support.stand_in_server DRAIN_S``.

It prints its port, and ends by SIGTERM. A request with the candidate 0.75 is computed for 0.3 s.
"""

import socket
import sys
import time

from esmm_dist.serving.config import ServeConfig
from esmm_dist.serving.http.http_server import ScoringServer
from esmm_dist.serving.metrics import ServingMetrics
from tests.support.stand_in_model import StandInScorer, stand_in_version


class SlowScorer(StandInScorer):
    def score(self, batch, found=()):
        scores = super().score(batch, found)
        if 0.75 in scores["pctr"]:
            time.sleep(0.3)
        return scores


if __name__ == "__main__":
    settings = ServeConfig(models="models", port=0, drain_s=float(sys.argv[1]))
    server = ScoringServer(stand_in_version(SlowScorer()), settings, ServingMetrics())
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listening.getsockname()[1], flush=True)
    server.run([listening])
    print("ended", flush=True)
