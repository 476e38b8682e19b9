import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from esmm_dist.serving.metrics import ServingMetrics
from esmm_dist.serving.requests.asked_request import RequestForm
from esmm_dist.serving.requests.bad_request import BadRequestError
from esmm_dist.serving.scoring.batching import Batching, Scored, Waiting
from esmm_dist.serving.scoring.snapshot import Snapshot
from tests.support.stand_in_model import StandInScorer


class ScoresOf:
    """Asks for candidates, and answers with their scores."""

    form: RequestForm = "short"

    def __init__(self, candidates: Any, *, writes: bool = True) -> None:
        self.body = {"candidates": candidates}
        self.writes = writes

    def read(self, snapshot: Snapshot) -> Any:
        return snapshot.scorer.read("short", self.body)

    def write(self, scored: Scored) -> Any:
        if not self.writes:
            raise RuntimeError("writing is broken")
        return scored.scores["pctr"].tolist()


def version_of(scorer: StandInScorer, number: int = 1) -> Snapshot:
    return Snapshot(version=str(number), number=number, scorer=scorer)


class Held:
    """A computing thread that is held in its first batch."""

    def __init__(self, max_impressions: int = 1000, wait_ms: float = 0.0) -> None:
        self.metrics = ServingMetrics()
        self.scorer = StandInScorer()
        self.version = version_of(self.scorer)
        self.batching = Batching(max_impressions=max_impressions, wait_ms=wait_ms, metrics=self.metrics)

    def hold(self) -> "Future[Any]":
        self.scorer.go_on.clear()
        first = self.ask([0.5])
        assert self.scorer.begun.acquire(timeout=10)
        return first

    def ask(
        self, candidates: Any, *, version: Snapshot | None = None, due_in_s: float = 60.0, writes: bool = True
    ) -> "Future[Any]":
        due_at = time.monotonic() + due_in_s
        work = ScoresOf(candidates, writes=writes)
        request = Waiting(work=work, snapshot=version or self.version, due_at=due_at)
        self.batching.ask(request)
        return request.answer

    def dropped(self, reason: str) -> float:
        value: float = self.metrics.dropped.labels(reason)._value.get()
        return value


@contextlib.contextmanager
def held(**settings: Any) -> Iterator[Held]:
    running = Held(**settings)
    try:
        yield running
    finally:
        running.scorer.go_on.set()
        running.batching.close()


def test_requests_that_wait_are_computed_together_and_each_gets_its_own_scores():
    with held() as running:
        answers = [running.hold(), *(running.ask([number / 8, number / 16]) for number in range(1, 4))]
        running.scorer.go_on.set()
        assert [each.result(10) for each in answers] == [[0.5], [0.125, 0.0625], [0.25, 0.125], [0.375, 0.1875]]
        assert running.scorer.batches == [[0.5], [0.125, 0.0625, 0.25, 0.125, 0.375, 0.1875]]


def test_a_batch_ends_with_the_request_that_fills_it():
    with held(max_impressions=4) as running:
        answers = [running.hold(), *(running.ask([number, number, number]) for number in (0.125, 0.25, 0.5))]
        running.scorer.go_on.set()
        for each in answers:
            each.result(10)
        assert running.scorer.batches[1:] == [[0.125] * 3 + [0.25] * 3, [0.5] * 3]


def test_a_batch_holds_requests_of_one_version_only():
    with held() as running:
        other = StandInScorer()
        answers = [running.hold(), running.ask([0.125]), running.ask([0.25], version=version_of(other, 2))]
        answers.append(running.ask([0.375]))
        running.scorer.go_on.set()
        assert [each.result(10) for each in answers] == [[0.5], [0.125], [0.25], [0.375]]
        assert running.scorer.batches == [[0.5], [0.125], [0.375]]
        assert other.batches == [[0.25]]


def test_a_bad_request_does_not_fail_its_neighbours():
    with held() as running:
        first = running.hold()
        before, bad, after = running.ask([0.125]), running.ask("none"), running.ask([0.25])
        running.scorer.go_on.set()
        with pytest.raises(BadRequestError, match="there are none"):
            bad.result(10)
        assert [each.result(10) for each in (first, before, after)] == [[0.5], [0.125], [0.25]]
        assert running.scorer.batches[1:] == [[0.125, 0.25]]


def test_a_request_that_breaks_the_computing_does_not_fail_its_neighbours():
    with held() as running:
        running.hold()
        before, broken, after = running.ask([0.125]), running.ask([-1.0]), running.ask([0.25])
        running.scorer.go_on.set()
        with pytest.raises(RuntimeError, match="breaks the computing"):
            broken.result(10)
        assert before.result(10) == [0.125]
        assert after.result(10) == [0.25]


def test_an_answer_that_cannot_be_written_does_not_fail_its_neighbours():
    with held() as running:
        running.hold()
        broken, after = running.ask([0.125], writes=False), running.ask([0.25])
        running.scorer.go_on.set()
        with pytest.raises(RuntimeError, match="writing is broken"):
            broken.result(10)
        assert after.result(10) == [0.25]


def test_a_request_that_nobody_waits_for_is_not_computed():
    with held() as running:
        running.hold()
        left, after = running.ask([0.125]), running.ask([0.25])
        assert left.cancel()
        running.scorer.go_on.set()
        assert after.result(10) == [0.25]
        assert running.scorer.batches[1:] == [[0.25]]
        assert running.dropped("client_gone") == 1


def test_a_request_whose_time_is_over_is_not_computed():
    with held() as running:
        running.hold()
        late, after = running.ask([0.125], due_in_s=-1.0), running.ask([0.25])
        running.scorer.go_on.set()
        assert after.result(10) == [0.25]
        with pytest.raises(CancelledError):
            late.result(10)
        assert running.scorer.batches[1:] == [[0.25]]
        assert running.dropped("timeout") == 1


def test_a_request_that_is_left_while_it_is_computed_harms_nothing():
    with held() as running:
        first = running.hold()
        assert first.cancel()
        running.scorer.go_on.set()
        assert running.ask([0.25]).result(10) == [0.25]


def test_an_idle_server_can_wait_for_company():
    with held(wait_ms=300.0) as running:
        answers = [running.ask([0.125]), running.ask([0.25])]
        assert [each.result(10) for each in answers] == [[0.125], [0.25]]
        assert running.scorer.batches == [[0.125, 0.25]]


def test_closing_computes_what_waits_and_ends_the_thread():
    running = Held()
    first = running.hold()
    waiting = running.ask([0.25])
    closing = threading.Thread(target=running.batching.close)
    closing.start()
    running.scorer.go_on.set()
    closing.join(10)
    assert not closing.is_alive()
    assert (first.result(0), waiting.result(0)) == ([0.5], [0.25])
    running.batching.close()
    with pytest.raises(RuntimeError, match="the computing thread has ended"):
        running.ask([0.5])


def test_batches_are_counted():
    with held() as running:
        answers = [running.hold(), running.ask([0.125, 0.25]), running.ask([0.25])]
        running.scorer.go_on.set()
        for each in answers:
            each.result(10)
    text = running.metrics.text().decode()
    assert "esmm_serving_batch_requests_count 2.0" in text
    assert "esmm_serving_batch_requests_sum 3.0" in text
    assert "esmm_serving_batch_impressions_sum 4.0" in text
    assert "esmm_serving_impressions_total 4.0" in text
    assert "esmm_serving_users_total 3.0" in text
    assert 'esmm_serving_values_total{field="item"} 4.0' in text
