"""The ASGI application: from a request's path, headers and body to its answer."""

import asyncio
import logging
import time
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from esmm_dist.schema.fields import Schema
from esmm_dist.serving.http.access import TokenGuard, check_body_type
from esmm_dist.serving.http.addresses import Address, address_of
from esmm_dist.serving.http.answers import Answer, error_answer, json_answer
from esmm_dist.serving.http.refusals import RefusedError
from esmm_dist.serving.http.request_body import ClientGoneError, read_body
from esmm_dist.serving.http.rest_forms import RestForm, metadata_of, status_of
from esmm_dist.serving.http.short_form import ShortForm
from esmm_dist.serving.http.signatures import Signature, signatures_of
from esmm_dist.serving.limits import RequestLimits
from esmm_dist.serving.metrics import CONTENT_TYPE, ServingMetrics
from esmm_dist.serving.requests.bad_request import BadRequestError
from esmm_dist.serving.scoring.batching import AnswersRequest, Batching, Waiting
from esmm_dist.serving.scoring.snapshot import Serving, Snapshot

_log = logging.getLogger("esmm.serve")

_GONE = 499
"""Status in the metrics, as nginx and TensorFlow Serving have it, of a request whose client has not waited."""


class ScoringApp:
    """Answers requests for scores. Runs in one event loop; the scores are computed in the thread of ``Batching``."""

    def __init__(
        self,
        serving: Serving,
        *,
        name: str,
        limits: RequestLimits,
        batching: Batching,
        metrics: ServingMetrics,
        token: str | None,
    ) -> None:
        """Answer.

        Args:
            serving: hands out the version to answer with
            name: name of the model
            limits: what a request may ask
            batching: computes; the caller closes it after the last request
            metrics: counts, and is the answer of /metrics
            token: token that requests must carry; None: none
        """
        self._serving, self._name, self._limits = serving, name, limits
        self._batching, self._metrics, self._guard = batching, metrics, TokenGuard(token)
        self._under_way = 0
        self._signatures: tuple[Schema | None, Mapping[str, Signature]] = None, {}
        self.draining = False
        """Whether the end has been asked for: /readyz is 503, and each answer ends its connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began_at = time.monotonic()
        counted_as, status = "other", _GONE
        try:
            address = self._address(scope)
            if isinstance(address, Address):
                counted_as = address.endpoint
                answer = await self._answer(address, scope, receive)
            else:
                answer = address
            status = answer.status
            await self._send(answer, send)
        except ClientGoneError:
            pass  # counted by its status
        finally:
            self._metrics.requests.labels(counted_as, str(int(status))).inc()
            self._metrics.duration.labels(counted_as).observe(time.monotonic() - began_at)

    def _address(self, scope: Scope) -> Address | Answer:
        """Return what the path names, or the refusal."""
        try:
            return address_of(scope["path"], self._name)
        except RefusedError as e:
            return error_answer(e.status, str(e), e.headers)

    async def _answer(self, address: Address, scope: Scope, receive: Receive) -> Answer:
        """Return the answer, also to what is refused or fails."""
        try:
            if scope["method"] not in address.methods:
                allowed = ", ".join(address.methods)
                raise RefusedError(
                    HTTPStatus.METHOD_NOT_ALLOWED,
                    f"{scope['path'][:80]!r} has no {scope['method']}: it has {allowed}",
                    {"Allow": allowed},
                )
            return await self._answer_at(address, scope, receive)
        except BadRequestError as e:
            return error_answer(HTTPStatus.BAD_REQUEST, str(e))
        except RefusedError as e:
            return error_answer(e.status, str(e), e.headers)
        except ClientGoneError:
            raise
        except Exception as e:
            self._metrics.errors.labels(type(e).__name__).inc()
            _log.error("%s failed: %s", address.endpoint, e, exc_info=e)
            return error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed at this request; its log says why")

    async def _answer_at(self, address: Address, scope: Scope, receive: Receive) -> Answer:
        match address.endpoint:
            case "healthz":
                return json_answer({"status": "serving"})
            case "readyz":
                return self._readiness()
        self._guard.check(scope["headers"])
        match address.endpoint:
            case "metrics":
                return Answer(body=self._metrics.text(), content_type=CONTENT_TYPE)
            case "status" | "metadata":
                return self._described(address)
        return await self._scored(address, scope, receive)

    def _readiness(self) -> Answer:
        why = "the server is stopping" if self.draining else self._serving.why_not_ready()
        if why:
            return error_answer(HTTPStatus.SERVICE_UNAVAILABLE, why)
        current = self._serving.current()
        return json_answer({"status": "ready", "version": "" if current is None else str(current.number)})

    def _described(self, address: Address) -> Answer:
        snapshot = self._snapshot(
            address, "Could not find any versions of model {name}", "Could not find version {version} of model {name}"
        )
        if address.endpoint == "status":
            return json_answer(status_of(snapshot.number))
        return json_answer(metadata_of(self._name, snapshot.number, self._signatures_of(snapshot)))

    def _snapshot(self, address: Address, no_model: str, no_version: str) -> Snapshot:
        """Return the version that a path names, or the newest.

        Args:
            address: what the path names
            no_model: text of the error for another model
            no_version: text of the error for another version
        """
        if address.model not in (None, self._name):
            raise RefusedError(
                HTTPStatus.NOT_FOUND, f"{no_model.format(name=str(address.model)[:100])}. The model is {self._name}"
            )
        if address.label is not None:
            raise BadRequestError(f"Unrecognized servable version label: {address.label[:100]}. There are no labels")
        if (current := self._serving.current()) is None:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                self._serving.why_not_ready() or "no version is loaded",
                {"Retry-After": "1"},
            )
        if address.version not in (None, current.number):
            text = no_version.format(name=self._name, version=address.version)
            raise RefusedError(HTTPStatus.NOT_FOUND, f"{text}. The version that answers is {current.number}")
        return current

    async def _scored(self, address: Address, scope: Scope, receive: Receive) -> Answer:
        if address.endpoint in ("classify", "regress"):
            raise BadRequestError(f"The model has no signature to {address.endpoint} by. POST to :predict")
        headers = Headers(scope=scope)
        check_body_type(headers)
        snapshot = self._snapshot(
            address,
            "Servable not found for request: Latest({name})",
            "Servable not found for request: Specific({name}, {version})",
        )
        if self._under_way >= self._limits.max_waiting:
            self._metrics.dropped.labels("queue_full").inc()
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._limits.max_waiting} requests wait already (--max-waiting). Send this one again later, or add "
                "servers",
                {"Retry-After": "1"},
            )
        self._under_way += 1
        self._metrics.in_flight.inc()
        try:
            body = await read_body(receive, headers, self._limits)
            work: AnswersRequest = ShortForm(body, self._limits)
            if address.endpoint == "predict":
                work = RestForm(body, self._limits, self._signatures_of)
            # The version of the moment when the whole request is there
            current = self._serving.current() if address.version is None else snapshot
            return await self._computed(work, current or snapshot, receive)
        finally:
            self._under_way -= 1
            self._metrics.in_flight.dec()

    async def _computed(self, work: AnswersRequest, snapshot: Snapshot, receive: Receive) -> Answer:
        timeout_s = self._limits.timeout_ms / 1000
        request = Waiting(work=work, snapshot=snapshot, due_at=time.monotonic() + timeout_s)
        self._batching.ask(request)
        answer: asyncio.Future[Answer] = asyncio.wrap_future(request.answer)
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((answer, gone), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if answer.done() and not answer.cancelled():
                return answer.result()
            if gone.done():
                raise ClientGoneError
            raise RefusedError(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"the scores were not ready within {self._limits.timeout_ms} ms (--timeout-ms). Ask for fewer "
                "candidates a request, or add servers",
            )
        finally:
            gone.cancel()
            answer.cancel()

    def _signatures_of(self, snapshot: Snapshot) -> Mapping[str, Signature]:
        """Return the signatures of a version, which are made once for all requests of it."""
        schema: Schema = snapshot.scorer.model.manifest.schema
        of, signatures = self._signatures
        if of is not schema:
            signatures = signatures_of(schema)
            self._signatures = schema, signatures
        return signatures

    async def _send(self, answer: Answer, send: Send) -> None:
        headers: Mapping[str, str] = answer.headers
        if self.draining:
            headers = {**headers, "Connection": "close"}
        raw = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(answer.body)).encode())]
        raw += [(name.lower().encode(), value.encode("latin-1", errors="replace")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": int(answer.status), "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})
