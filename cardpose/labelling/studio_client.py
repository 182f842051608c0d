"""Questions to a Label Studio over HTTP.

Each answer is limited in time and size and is checked before use. A redirect is never followed,
so the token goes to the address that the user named and nowhere else.
"""

import http.client
import json
import queue
import threading
import time
from typing import Annotated, NamedTuple

import requests
import urllib3
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cardpose.common.errors import InputError, one_line, short_repr
from cardpose.labelling.addresses import EXAMPLE


class Limits(NamedTuple):
    """Limits of one answer: seconds until its last byte, and bytes, also when unpacked."""

    seconds: float
    size: int


SHORT = Limits(seconds=60, size=16 * 2**20)
LONG = Limits(seconds=600, size=256 * 2**20)  # answers about thousands of frames
_CONNECT = 10  # seconds until somebody takes the connection
_TOTAL = 1200  # seconds for all questions of one client
_PAGES = 100  # of 100 projects each: Label Studio gives no more at once
_PIECE = 2**16  # bytes read at a time
_SAID = 300  # bytes of an error's text that are read
_FAULTS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
)


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True)


_Id = Annotated[int, Field(ge=1, lt=2**63)]


class Created(_Answer):
    """A project that was made."""

    id: _Id


class Project(_Answer):
    """A project in a list."""

    id: _Id
    title: str | None


class Projects(_Answer):
    """One page of the list of projects; `next` is the address of the next page, or None."""

    results: list[Project]
    next: str | None = None


class Data(_Answer):
    """Data of a task."""

    frame: str | None = None


class Task(_Answer):
    """A task, as Label Studio exports it."""

    id: _Id
    data: Data
    annotations: list[dict] | None = None
    drafts: list[dict] | None = None


class Client:
    """Ask a Label Studio at an address, with a token."""

    def __init__(self, address, token, token_path):
        """
        Args:
            address: what `addresses.normalised` returns.
            token_path: the file that holds the token, for messages.
        """
        self.address, self.token_path = address, token_path
        self._headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self._end = time.monotonic() + _TOTAL

    def ask(self, path, content=None, kind=None, long=False):
        """Send a question: POST with `content` as JSON, or GET.

        Args:
            kind: the type that the answer has to have.
            long: whether the answer may be long, or take long.

        Returns:
            the answer as `kind` and as bytes; (None, bytes) without a kind.

        Raises:
            InputError: there is no answer, or not such a one. The message names the address.
        """
        url, limits = self.address + path, LONG if long else SHORT
        limits = limits._replace(seconds=min(limits.seconds, self._end - time.monotonic()))
        data = None if content is None else json.dumps(content).encode()
        status, headers, body = fetch(self.address, path, limits, self._headers, data)
        if not 200 <= status < 300:
            raise InputError(f"{url}: {self._refusal(status, headers, body)}")
        if kind is None:
            return None, body
        said = headers.get("Content-Type", "")
        if said and "json" not in said.lower():
            raise InputError(f"{url}: should answer with JSON (got {short_repr(said)})")
        return _parsed(url, body, kind), body

    def projects(self):
        """Give all projects, page by page."""
        seen = set()
        for page in range(1, _PAGES + 1):
            path = "/api/projects?page_size=1000" + (f"&page={page}" if page > 1 else "")
            found, _ = self.ask(path, kind=Projects)
            fresh = [project for project in found.results if project.id not in seen]
            yield from fresh
            seen |= {project.id for project in fresh}
            if not found.next:
                return
            if not fresh:
                break
        raise InputError(f"{self.address}/api/projects: its list of projects has no end")

    def _refusal(self, status, headers, body):
        if 300 <= status < 400:
            target = headers.get("Location")
            where = f" to {short_repr(target)}" if target else ""
            return f"answers {status}: sends{where}; name the address of Label Studio itself"
        why = {
            401: f"it does not take the token in {self.token_path}",
            403: f"it does not take the token in {self.token_path}",
            404: f"the address should be that of Label Studio, like {EXAMPLE}",
            429: "it has too much to do; try again later",
        }.get(status)
        text = body[:_SAID].decode(errors="replace").strip()
        said = None if text.startswith("<") else one_line(text)
        return ": ".join(filter(None, [f"answers {status}", why, said]))


def fetch(address, path, limits, headers=(), data=None):
    """Send one request: POST with `data`, or GET.

    Returns:
        the status, the headers and the body, of which errors keep the beginning only.

    Raises:
        InputError: nobody answers, or the answer exceeds its limits or breaks off.
    """
    late = InputError(f"{address}{path}: no whole answer within {max(limits.seconds, 0):g} seconds")
    if limits.seconds <= 0:
        raise late
    done = queue.SimpleQueue()

    def work():
        try:
            done.put((_fetched(address, path, limits, dict(headers), data), None))
        except Exception as error:
            done.put((None, error))

    # A socket's time-out begins anew with each byte, and looking up a name has none at all. A
    # daemon does not keep the process from ending.
    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = done.get(timeout=limits.seconds)
    except queue.Empty:
        raise late from None
    if error is not None:
        raise error
    return answer


def _fetched(address, path, limits, headers, data):
    method = "GET" if data is None else "POST"
    # The adapter alone: a session would know redirects, cookies, proxies and ~/.netrc.
    adapter = requests.adapters.HTTPAdapter()
    try:
        request = requests.Request(method, address + path, headers, data=data).prepare()
        response = adapter.send(
            request, stream=True, timeout=(min(_CONNECT, limits.seconds), limits.seconds)
        )
    except _FAULTS as error:
        raise InputError(f"{address}: no Label Studio answers there ({_reason(error)})") from None
    with response:
        succeeded, body = 200 <= response.status_code < 300, bytearray()
        try:
            for piece in response.iter_content(_PIECE if succeeded else _SAID):
                body += piece
                if len(body) > limits.size:
                    raise InputError(
                        f"{address}{path}: its answer is longer than {limits.size} bytes"
                    )
                if not succeeded and len(body) >= _SAID:
                    break
        except _FAULTS as error:
            if succeeded:
                raise InputError(
                    f"{address}{path}: its answer breaks off ({_reason(error)})"
                ) from None
        return response.status_code, response.headers, bytes(body)


def _reason(error):
    """What lies at the bottom of an error, short: libraries wrap errors into errors."""
    seen = []
    while error not in seen:
        seen.append(error)
        inner = (getattr(error, "reason", None), *error.args, error.__cause__, error.__context__)
        error = next((each for each in inner if isinstance(each, Exception)), error)
    if isinstance(error, http.client.BadStatusLine):
        return f"no HTTP: {short_repr(error.line)}"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return one_line(text)[:120]


def _parsed(url, body, kind):
    try:
        value = json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise InputError(f"{url}: should answer with JSON (it is nested too deeply)") from None
    except ValueError as error:
        start = bytes(body.lstrip()[:1])
        why = {b"": "nothing", b"<": "a page of HTML"}.get(start, short_repr(str(error)))
        raise InputError(f"{url}: should answer with JSON (got {why})") from None
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as errors:
        fault = errors.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "its answer"
        got = "" if fault["type"] == "missing" else f" (got {short_repr(fault['input'])})"
        raise InputError(f"{url}: {one_line(place)[:80]}: {fault['msg']}{got}") from None


def _no_number(name):
    raise ValueError(f"{name} is no number")
