"""Recognize and normalise addresses of Label Studio."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import requests

from cardpose.common.errors import InputError, one_line, short_repr

EXAMPLE = "http://127.0.0.1:8080"


def is_address(text: str) -> bool:
    """Return whether a text that a user typed is an address, not the name of a file.

    A text like localhost:8080 is an address if there is no such file.
    """
    if re.match(r"\s*(https?:|[a-z][a-z0-9+.-]+://)", text, re.IGNORECASE):
        return True
    host = re.fullmatch(
        r"[^/\\\s]+:\d+(/\S*)?|(localhost|\d+(\.\d+){3}|\[[0-9a-f:.]+\]):?(/\S*)?",
        text,
        re.IGNORECASE,
    )
    return bool(host) and not Path(text).exists()


def normalised(text: str) -> str:
    """Return the normal form of an address that a user typed, without a trailing slash.

    Raises:
        InputError: the text cannot be the address of Label Studio.
    """

    def wrong(why: str) -> InputError:
        hidden = re.sub(r"^(\w+://)?.*@", r"\1...@", text, flags=re.DOTALL)  # may be a password
        return InputError(f"{short_repr(hidden)}: {why}; an address is like {EXAMPLE}")

    if not text.isprintable() or re.search(r"[\s\\]", text):
        raise wrong("should hold no spaces, backslashes or control characters")
    if "@" in text:
        raise wrong("should hold no user name and no password")
    scheme = re.match(r"https?:|[^/?#\[]*://", text, re.IGNORECASE)
    whole = text if scheme else f"http://{text}"
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError as error:
        raise wrong(f"is no address ({one_line(error)[:80]})") from None
    if parts.scheme not in ("http", "https"):
        raise wrong("should begin with http:// or https://")
    if not parts.hostname:
        raise wrong("names no host")
    if port == 0:
        raise wrong("the port should be between 1 and 65535")
    if parts.query or parts.fragment:
        raise wrong("should end after the port or the path")
    try:
        url = requests.Request("GET", whole).prepare().url or ""
    except (requests.RequestException, ValueError):
        raise wrong("is no valid address") from None
    return url.rstrip("/")
