"""Client of ``esmm serve``, and of TensorFlow Serving's REST interface. One file, Python >= 3.8, nothing to install.

Copy it into your code::

    from esmm_client import EsmmClient

    with EsmmClient("http://127.0.0.1:8501") as client:
        answer = client.score({"user_id": "u17", "candidates": [{"item_id": "i1"}, {"item_id": "i2"}]})
        answer.scores["pctcvr"]  # one probability a candidate
        answer.unknown_ids       # such as {"item_id": 1}: ids that the model has never seen

or ask from a shell::

    python esmm_client.py http://127.0.0.1:8501 --ask '{"user_id": "u17", "candidates": [{"item_id": "i1"}]}'
    python esmm_client.py http://127.0.0.1:8501 --golden MODELS/1/assets.extra/golden.json

The second line sends the requests of an export's ``golden.json`` and prints what differs. Exit status: 0, all is well;
1, something differs or was refused; 2, the command line is wrong.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import math
import ssl
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, Iterator, Mapping, Sequence  # noqa: UP035 (Python 3.8)
from urllib.parse import urlsplit

Json = Any

FIRST_WAIT_S = 0.05
"""Before a request is sent a second time; it doubles with each further one."""
LONGEST_WAIT_S = 2.0
"""A server's ``Retry-After`` is obeyed up to here."""


class EsmmClientError(Exception):
    """A request without an answer. Its text says what is wrong and what to do.

    ::

        EsmmClientError
        +- RequestRefusedError   the request is wrong (4xx): another try cannot help
        +- NoAnswerError         no connection, or a server that cannot answer now (5xx): try later
           +- TimedOutError      the answer took longer than timeout_s

    Attributes:
        status: HTTP status, or None without one
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class RequestRefusedError(EsmmClientError):
    """The server refuses the request: bad input (400), no token (401), no such model (404), too large (413)."""


class NoAnswerError(EsmmClientError):
    """There is no answer, though the request may be right."""


class TimedOutError(NoAnswerError):
    """The answer took too long. The request is not sent again: the server may be at it still."""


@dataclass(frozen=True)
class ScoreAnswer:
    """What ``POST /v1/score`` answers."""

    version: str
    """Version of the model that answered."""
    step: int
    """Training step of that version."""
    scores: Json
    """``{"pctcvr": [...], ...}``: by column one number a candidate; of several users a list of these, one a user."""
    unknown_ids: dict[str, int]
    """By field: ids of this request that the model has no row of. Many of one field mean that it is fed wrongly."""


@dataclass(frozen=True)
class _Reply:
    """A response that has been read."""

    status: int
    body: bytes
    retry_after: str | None


class EsmmClient:
    """Asks one server. May be used by several threads at once; connections are kept open and used again.

    A request only reads, so it is safe to send it again: that is done where the connection is lost and where the server
    says 503, ``retries`` times. A request that took too long is not sent again. ``close`` closes idle connections; a
    client that is used afterwards opens new ones.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str = "esmm",
        token: str | None = None,
        ca_file: str | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        """Connect at the first request, not here.

        Args:
            url: ``http://HOST:PORT`` or ``https://HOST:PORT``, with a path where a proxy needs one
            model: name of the model, ``esmm serve --name``
            token: what the server's ``--token-file`` holds; None: it needs none
            ca_file: certificates (PEM) that the server's is checked with; None: those of the system
            timeout_s: longest wait for a connection, and for each part of an answer, in seconds
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is {url!r}. Give http://HOST:PORT or https://HOST:PORT.")
        if ca_file is not None and parts.scheme == "http":
            raise ValueError(f"ca_file is given, but {url} is not encrypted. Give https://HOST:PORT.")
        self.url, self.model = url.rstrip("/"), model
        self.retries = 2
        """How often a request is sent again."""
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token.strip()}"
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def score(self, asked: Mapping[str, Json] | Sequence[Mapping[str, Json]]) -> ScoreAnswer:
        """Score the candidates of one user, or of each of several users.

        Args:
            asked: values by name, as the training's log has them, with ``candidates``, a list of such mappings; None or
                nothing where a value is missing. For several users a list of these.

        Raises:
            RequestRefusedError: The server does not understand it; the text says which name or value.
            NoAnswerError: There is no answer.
        """
        found = self._ask("POST", f"/v1/models/{self.model}:score", _text(asked))
        if not isinstance(found, dict) or not isinstance(found.get("scores"), (dict, list)):
            raise NoAnswerError(f"{self.url} answers what is not of esmm serve: {found!r:.200}")
        return ScoreAnswer(
            version=str(found.get("version", "")),
            step=int(found.get("step", 0)),
            scores=found["scores"],
            unknown_ids=dict(found.get("unknown_ids", {})),
        )

    def predict(
        self, inputs: Mapping[str, Json], *, signature: str = "values", version: str | int | None = None
    ) -> dict[str, list[Json]]:
        """Ask a signature as TensorFlow Serving's REST interface does, by columns.

        Args:
            inputs: values of each input by its name; bytes are sent as base64, NaN is a missing number
            signature: ``values``, ``features`` or ``serving_default``
            version: version of the model; None: the one that the server chooses

        Returns:
            Values of each output by its name.

        Raises:
            RequestRefusedError: The server does not understand it.
            NoAnswerError: There is no answer.
        """
        place = f"/v1/models/{self.model}{'' if version is None else f'/versions/{version}'}:predict"
        found = self._ask("POST", place, _text({"signature_name": signature, "inputs": inputs}))
        outputs = found.get("outputs") if isinstance(found, dict) else None
        if not isinstance(outputs, dict):
            raise NoAnswerError(f"{self.url} answers what is no prediction: {found!r:.200}")
        return outputs

    def status(self) -> dict[str, Json]:
        """Return the versions of the model and their state, ``GET /v1/models/NAME``."""
        found: dict[str, Json] = self._ask("GET", f"/v1/models/{self.model}", None)
        return found

    def metadata(self) -> dict[str, Json]:
        """Return the model's signatures, ``GET /v1/models/NAME/metadata``."""
        found: dict[str, Json] = self._ask("GET", f"/v1/models/{self.model}/metadata", None)
        return found

    def close(self) -> None:
        """Close the connections that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __enter__(self) -> EsmmClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, place: str, body: bytes | None) -> Json:
        """Return what a successful answer says, after as many tries as are allowed."""
        wait_s = FIRST_WAIT_S
        for left in range(self.retries, -1, -1):
            try:
                reply = self._send(method, self._path + place, body)
            except NoAnswerError as e:
                if left == 0 or isinstance(e, TimedOutError) or isinstance(e.__cause__, ssl.SSLError):
                    raise
            else:
                if reply.status != 503 or left == 0:
                    return self._read(reply, place)
                wait_s = max(wait_s, _seconds(reply.retry_after))
            time.sleep(min(wait_s, LONGEST_WAIT_S))
            wait_s *= 2
        raise AssertionError("the last try returns or raises")

    def _send(self, method: str, place: str, body: bytes | None) -> _Reply:
        """Send once; a connection that the server has closed meanwhile is replaced."""
        while True:
            with self._lock:
                connection, is_new = (self._idle.pop(), False) if self._idle else (self._connection(), True)
            try:
                connection.request(method, place, body=body, headers=self._headers)
                response = connection.getresponse()
                reply = _Reply(response.status, response.read(), response.headers.get("Retry-After"))
            except (http.client.HTTPException, OSError) as e:
                connection.close()
                if isinstance(e, TimeoutError) or "timed out" in str(e):  # before Python 3.10 socket.timeout is its own
                    raise TimedOutError(
                        f"{self.url} did not answer within {self._timeout_s:g} s. Is it busy? Give timeout_s more, or "
                        "ask for fewer candidates at once."
                    ) from e
                if isinstance(e, ssl.SSLError) or is_new:
                    raise self._unreachable(e) from e
                continue  # it was idle and the server had closed it
            except BaseException:
                connection.close()
                raise
            if response.will_close:
                connection.close()
            else:
                with self._lock:
                    self._idle.append(connection)
            return reply

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)

    def _unreachable(self, error: Exception) -> NoAnswerError:
        """Return the error of a connection that failed, with what to do."""
        if isinstance(error, ssl.SSLCertVerificationError):
            do = "Give ca_file the certificate that signed the server's, and the host name that it is made for."
        elif isinstance(error, ssl.SSLError):
            do = "Does the server speak TLS (esmm serve --tls-cert)? If not, the address begins with http://."
        elif isinstance(error, ConnectionRefusedError):
            do = "Does esmm serve run there, on this port?"
        else:
            do = "Is it esmm serve, and does it speak TLS (then the address begins with https://)?"
        return NoAnswerError(f"{self.url}: {type(error).__name__}: {error}. {do}")

    def _read(self, reply: _Reply, place: str) -> Json:
        """Return the JSON of an answer, or raise what it says."""
        try:
            found = json.loads(reply.body.decode("utf-8"))
        except ValueError:
            found = None
        if reply.status == 200 and found is not None:
            return found
        said = found.get("error") if isinstance(found, dict) else None
        text = f"{self.url}{place} answers {reply.status}: {said or repr(reply.body[:200])}"
        if reply.status == 401:
            text += f"{'' if text.endswith('.') else '.'} Give the token of the server's --token-file."
        kind = RequestRefusedError if 400 <= reply.status < 500 else NoAnswerError
        raise kind(text, reply.status)


def golden_differences(client: EsmmClient, golden: Mapping[str, Json]) -> Iterator[str]:
    """Send the requests of an export's ``golden.json``; yield a line for each answer that is not the expected one.

    ::

        {"tolerance": 1e-6,
         "requests": [{"name": "two candidates", "form": "short", "request": {...}, "answer": {"scores": {...}, ...}},
                      {"name": "...", "form": "values", "request": {"signature_name": "values", "inputs": {...}},
                       "answer": {"outputs": {...}}}]}

    ``form`` is ``short``, of ``POST /v1/score``, or one of TensorFlow Serving's predict; numbers may differ by
    ``tolerance`` of their size. Of an answer only what ``golden.json`` names is compared.

    Args:
        client: client of the server that is checked
        golden: content of ``golden.json``
    """
    for asked in golden["requests"]:
        form, request, expected = asked["form"], asked["request"], asked["answer"]
        try:
            if form == "short":
                answer = client.score(request)
                found: Json = {"scores": answer.scores, "unknown_ids": answer.unknown_ids}
            else:
                found = {"outputs": client.predict(request["inputs"], signature=request["signature_name"])}
        except EsmmClientError as e:
            yield f"{asked['name']} ({form}): {e}"
            continue
        for name in expected:
            where = f"{asked['name']} ({form}): {name}"
            yield from _differences(found.get(name), expected[name], float(golden["tolerance"]), where)


def _differences(found: Json, expected: Json, tolerance: float, where: str) -> Iterator[str]:
    """Yield what differs between two values of JSON, numbers by more than ``tolerance``, relative."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted({*expected, *found}):
            yield from _differences(found.get(name), expected.get(name), tolerance, f"{where}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        for index, pair in enumerate(zip(found, expected)):  # noqa: B905 (Python 3.8)
            yield from _differences(*pair, tolerance, f"{where}[{index}]")
    elif isinstance(expected, float) and isinstance(found, (int, float)):
        if not math.isclose(found, expected, rel_tol=tolerance):
            yield f"{where} is {found!r}, not {expected!r}"
    elif found != expected:
        yield f"{where} is {found!r:.100}, not {expected!r:.100}"


def _text(asked: Json) -> bytes:
    """Return JSON, with bytes as base64 and arrays as lists."""
    return json.dumps(asked, default=_plain, separators=(",", ":")).encode("utf-8")


def _plain(value: Any) -> Json:
    if isinstance(value, (bytes, bytearray)):
        return {"b64": base64.b64encode(value).decode("ascii")}
    if hasattr(value, "tolist"):  # arrays and numbers of NumPy
        return value.tolist()
    raise TypeError(f"{value!r:.100} is a {type(value).__name__}. Give texts, numbers, bytes, lists and None.")


def _seconds(text: str | None) -> float:
    """Return the seconds of a header ``Retry-After``; 0 where it is none, or a date."""
    return float(text) if text is not None and text.strip().isdigit() else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Ask esmm serve, or compare its answers with an export's golden.json.")
    parser.add_argument("url", help="http://HOST:PORT or https://HOST:PORT")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--ask", metavar="JSON", help="a request of the short form; - reads it from stdin")
    what.add_argument("--golden", metavar="FILE", help="golden.json of an export: send its requests, show what differs")
    parser.add_argument("--model", default="esmm", help="name of the model (default: esmm)")
    parser.add_argument("--token-file", metavar="FILE", help="file with the server's token")
    parser.add_argument("--ca-file", metavar="FILE", help="certificates (PEM) that the server's is checked with")
    parser.add_argument("--timeout-s", type=float, default=5.0, help="longest wait for an answer (default: 5)")
    given = parser.parse_args(arguments)
    try:
        token = _file(given.token_file) if given.token_file else None
        asked: Json = None if given.ask is None else json.loads(sys.stdin.read() if given.ask == "-" else given.ask)
        golden = json.loads(_file(given.golden)) if given.golden else None
        client = EsmmClient(given.url, model=given.model, token=token, ca_file=given.ca_file, timeout_s=given.timeout_s)
    except (OSError, ValueError) as e:
        parser.error(str(e))
    with client:
        try:
            if golden is None:
                print(json.dumps(asdict(client.score(asked)), indent=1))
                return 0
            differing = list(golden_differences(client, golden))
        except EsmmClientError as e:
            print(f"esmm_client: {e}", file=sys.stderr)
            return 1
    for line in differing:
        print(line)
    print(f"{len(golden['requests'])} requests, {len(differing)} differences")
    return 1 if differing else 0


def _file(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    sys.exit(main())
