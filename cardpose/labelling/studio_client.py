"""Send requests to Label Studio over HTTP.

Each answer is limited in time and size, and checked before use. Redirects are not followed, so the
token goes only to the address that the user named.
"""

import http.client
import json
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import requests
import urllib3
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cardpose.common.errors import InputError, one_line, short_repr
from cardpose.labelling.studio_address import EXAMPLE


class Limits(NamedTuple):
    """Limits of one answer: seconds until its last byte, and its size in bytes, unpacked."""

    seconds: float
    size: int


SHORT = Limits(seconds=60, size=16 * 2**20)
LONG = Limits(seconds=600, size=64 * 2**20)  # for thousands of frames
_CONNECT = 10  # seconds until the connection is accepted
_TOTAL = 1200  # seconds for all requests of one client
_PAGES = 100  # most pages of projects; Label Studio puts at most 100 on a page
_PIECE = 2**16  # bytes read at a time
_ERROR_TEXT = 300  # bytes read of an error's text
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
    """Answer to the creation of a project."""

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
    """Client of one Label Studio server.

    Args:
        address: in the form that `normalised` returns.
        token: API token of the user.
        token_path: file that holds the token, for error messages.
    """

    def __init__(self, address: str, token: str, token_path: Path) -> None:
        self.address, self.token_path = address, token_path
        self._headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self._end = time.monotonic() + _TOTAL

    def ask(
        self, path: str, content: object = None, kind: Any = None, long: bool = False
    ) -> tuple[Any, bytes]:
        """Send a request: POST with `content` as JSON, or GET.

        Args:
            kind: type that the answer must have; None to skip the check.
            long: whether the answer may be long, or take long.

        Returns:
            the answer as `kind` and as bytes. Without `kind`, (None, bytes).

        Raises:
            InputError: there is no answer, or it is an error or has the wrong type. The message
                names the address.
        """
        url, limits = self.address + path, LONG if long else SHORT
        limits = limits._replace(seconds=min(limits.seconds, self._end - time.monotonic()))
        data = None if content is None else json.dumps(content).encode()
        status, headers, body = fetch(self.address, path, limits, self._headers, data)
        if not 200 <= status < 300:
            raise InputError(f"{url}: {self._refusal(status, headers, body)}")
        if kind is None:
            return None, body
        content_type = headers.get("Content-Type", "")
        if content_type and "json" not in content_type.lower():
            raise InputError(f"{url}: should answer with JSON (got {short_repr(content_type)})")
        return _parsed(url, body, kind), body

    def projects(self) -> Iterator[Project]:
        """Yield all projects, page by page."""
        seen: set[int] = set()
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

    def _refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> str:
        """Describe an answer whose status is not 2xx."""
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
        text = body[:_ERROR_TEXT].decode(errors="replace").strip()
        detail = None if text.startswith("<") else one_line(text)
        return ": ".join(filter(None, [f"answers {status}", why, detail]))


def fetch(
    address: str,
    path: str,
    limits: Limits,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
) -> tuple[int, Mapping[str, str], bytes]:
    """Send one request: POST with `data`, or GET.

    Returns:
        the status, the headers, and the body. Only the start of an error's body is read.

    Raises:
        InputError: there is no answer, or it exceeds its limits or breaks off.
    """
    late = InputError(f"{address}{path}: no whole answer within {max(limits.seconds, 0):g} seconds")
    if limits.seconds <= 0:
        raise late
    done: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put((_fetch(address, path, limits, dict(headers or {}), data), None))
        except Exception as error:
            done.put((None, error))

    # Limit the time in another thread: a socket's time-out restarts with each byte, and resolving a
    # host has none. A daemon thread does not keep the process alive.
    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = done.get(timeout=limits.seconds)
    except queue.Empty:
        raise late from None
    if error is not None:
        raise error
    return answer


def _fetch(
    address: str, path: str, limits: Limits, headers: dict[str, str], data: bytes | None
) -> tuple[int, Mapping[str, str], bytes]:
    method = "GET" if data is None else "POST"
    # Use only the adapter: a session would use redirects, cookies, proxies and ~/.netrc.
    adapter = requests.adapters.HTTPAdapter()
    try:
        request = requests.Request(method, address + path, headers, data=data).prepare()
        response = adapter.send(
            request, stream=True, timeout=(min(_CONNECT, limits.seconds), limits.seconds)
        )
    except _FAULTS as error:
        raise InputError(f"{address}: no Label Studio answers there ({_reason(error)})") from None
    with response:
        body = _read_body(response, address + path, limits.size)
        return response.status_code, response.headers, body


def _read_body(response: requests.Response, url: str, size: int) -> bytes:
    """Read the body of an answer, at most `size` bytes. Read only the start of an error."""
    succeeded, body = 200 <= response.status_code < 300, bytearray()
    try:
        for piece in response.iter_content(_PIECE if succeeded else _ERROR_TEXT):
            body += piece
            if len(body) > size:
                raise InputError(f"{url}: its answer is longer than {size} bytes")
            if not succeeded and len(body) >= _ERROR_TEXT:
                break
    except _FAULTS as error:
        if succeeded:
            raise InputError(f"{url}: its answer breaks off ({_reason(error)})") from None
    return bytes(body)


def _reason(error: BaseException) -> str:
    """Describe the innermost cause of an error, because libraries wrap errors in errors."""
    seen: list[BaseException] = []
    while error not in seen:
        seen.append(error)
        inner = (getattr(error, "reason", None), *error.args, error.__cause__, error.__context__)
        error = next((each for each in inner if isinstance(each, Exception)), error)
    if isinstance(error, http.client.BadStatusLine):
        return f"no HTTP: {short_repr(error.line)}"  # type: ignore[attr-defined]
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return one_line(text)[:120]


def _parsed(url: str, body: bytes, kind: Any) -> Any:
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


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")
