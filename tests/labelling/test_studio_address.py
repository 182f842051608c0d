"""Addresses of a Label Studio, as users type them."""

import pytest
from raw_server import complaint

from cardpose.labelling import studio_address, studio_server

ADDRESSES = {
    "http://127.0.0.1:8080": "http://127.0.0.1:8080",
    "http://127.0.0.1:8080/": "http://127.0.0.1:8080",
    "HTTP://LocalHost:8080": "http://localhost:8080",
    "localhost:8080": "http://localhost:8080",
    "localhost": "http://localhost",
    "127.0.0.1:8080/studio/": "http://127.0.0.1:8080/studio",
    "[::1]:8080": "http://[::1]:8080",
    "http://[::1]:8080": "http://[::1]:8080",
    "https://labels.example": "https://labels.example",
    "http://bücher.example:80": "http://xn--bcher-kva.example:80",
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_may_be_typed_in_several_ways(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert studio_address.is_address(text)
    assert studio_address.normalised(text) == ADDRESSES[text]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://", "names no host"),
        ("http://:8080", "names no host"),
        ("http:localhost:8080", "names no host"),
        ("http:///api", "names no host"),
        ("http://localhost:0", "port should be between 1 and 65535"),
        ("localhost:99999", "is no address (Port out of range"),
        ("http://localhost:x", "is no address (Port could not"),
        ("http://[::1:8080", "is no address (Invalid IPv6"),
        ("http://[zz]:80", "is no address"),
        ("ftp://localhost:21", "should begin with http:// or https://"),
        ("file:///etc/hosts", "should begin with http:// or https://"),
        ("http://local host:8080", "no spaces"),
        (" http://localhost:8080", "no spaces"),
        ("http://localhost:8080\n", r"'http://localhost:8080\n': should hold no spaces"),
        ("http://localhost\x1b[31m:8080", "control characters"),
        ("http://localhost\\@elsewhere:80", "backslashes"),
        ("http://somebody:pa/ss-word@localhost:80", "'http://...@localhost:80': should hold no"),
        ("somebody:pass-word@localhost:80", "'...@localhost:80': should hold no user name"),
        ("http://localhost:8080/?page=1", "should end after the port or the path"),
        ("http://localhost:8080#x", "should end after the port or the path"),
        ("http://\U0001f600.example", "is no valid address"),
        ("http://*:8080", "is no valid address"),
    ],
)
def test_a_wrong_address_is_one_line(text, words, studio_dataset):
    assert studio_address.is_address(text)
    with complaint(words, studio_address.EXAMPLE) as caught:
        studio_server.export_studio(studio_dataset, text)
    assert "ss-word" not in str(caught.value)


@pytest.mark.parametrize("text", ["a..b:80", f"{'a' * 300}:80", "nobody.invalid:80"])
def test_a_host_that_does_not_exist_is_one_line(text, studio_dataset):
    with complaint("no Label Studio answers there"):
        studio_server.export_studio(studio_dataset, text)


def test_the_name_of_an_existing_file_is_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels:12").touch()
    for text in ("labels:12", "labels.json", "data/a:12", r"C:\labels.json", "C:/a", "a b:1"):
        assert not studio_address.is_address(text)
    assert studio_address.is_address("labels:13")
