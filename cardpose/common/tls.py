"""Certificates that encrypt the connection to a Dask scheduler."""

import ssl
from pathlib import Path
from typing import NoReturn, Protocol, runtime_checkable

from cardpose.common.errors import InputError

_LONGEST_FILE = 2**20  # bytes; certificates and keys have a few thousand
_WHERE = "params.yaml: machine.dask_tls"


@runtime_checkable
class CertificatePaths(Protocol):
    """Paths of PEM files: `machine.dask_tls` of params.yaml."""

    @property
    def ca(self) -> str: ...
    @property
    def certificate(self) -> str: ...
    @property
    def key(self) -> str: ...


class _Passphrase(Exception):
    """The key is encrypted. OpenSSL would ask for its passphrase at the terminal."""


def tls_context(certificates: CertificatePaths) -> ssl.SSLContext:
    """Return the context that encrypts connections with these certificates.

    Raises:
        InputError: a file cannot be used; the message names its parameter.
    """
    texts = {
        "ca": _read_pem("ca", certificates.ca, "BEGIN CERTIFICATE"),
        "certificate": _read_pem("certificate", certificates.certificate, "BEGIN CERTIFICATE"),
    }
    _read_pem("key", certificates.key, "PRIVATE KEY")
    for name, text in texts.items():
        try:
            ssl.create_default_context(cadata=text)
        except (ssl.SSLError, ValueError):
            path = getattr(certificates, name)
            raise InputError(f"{_WHERE}.{name}: {path}: holds no valid certificate") from None
    context = ssl.create_default_context(cafile=certificates.ca)
    context.check_hostname = False  # as in Dask: one authority signs for the whole cluster
    try:
        context.load_cert_chain(certificates.certificate, certificates.key, _refuse_passphrase)
    except _Passphrase:
        problem = "should not need a passphrase"
    except ssl.SSLError as error:
        problem = "holds no valid key"
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"is not the key of {certificates.certificate}"
    else:
        return context
    raise InputError(f"{_WHERE}.key: {certificates.key}: {problem}")


def _read_pem(name: str, path: str, mark: str) -> str:
    """Return the text of a parameter's PEM file; refuse a file without `mark`."""
    file = Path(path)
    try:
        if not file.is_file():
            raise FileNotFoundError(2, "there is no such file")
        with file.open("rb") as opened:
            text = opened.read(_LONGEST_FILE).decode("ascii", "replace")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{_WHERE}.{name}: {file}: cannot be read ({reason})") from None
    if mark not in text:
        raise InputError(f"{_WHERE}.{name}: {file}: should be a PEM file with -----{mark}-----")
    return text


def _refuse_passphrase() -> NoReturn:
    raise _Passphrase
