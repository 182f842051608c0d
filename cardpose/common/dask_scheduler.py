"""The address of a Dask scheduler, and whether one answers there.

Dask exchanges pickles: to read one is to run what it says. So whoever answers is first asked who
they are, in messages of which nothing is unpickled and of which only the first megabyte is read.
"""

import asyncio
import contextlib
import ipaddress
import re
import ssl
import struct
import sys
from pathlib import Path

from cardpose.common.errors import InputError, one_line, short_repr

ANSWER = 5  # seconds in which a scheduler has to answer
_LONGEST = 2**20  # bytes of an answer; a scheduler's are a few hundred
_LIKE_IT = "no Dask scheduler answers there, but something like it"
_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})/?"
)


def check_scheduler(address, certificates=None):
    """Check that a Dask scheduler of this version answers at an address.

    Args:
        address: like tcp://10.0.0.5:8786, or tls:// with certificates.
        certificates: `machine.dask_tls` of params.yaml: the paths `ca`, `certificate` and `key`.

    Returns:
        The address with its scheme, and whether it is of this computer.

    Raises:
        InputError: a file of the certificates cannot be used; the address is none, or of the wrong
            scheme; or who answers there is no scheduler, or one of another version.
    """
    where = f"params.yaml: machine.dask: {one_line(address)[:100]}"
    context = certificates and _context(certificates)
    scheme = "tls" if certificates else "tcp"
    like = f"should be like {scheme}://10.0.0.5:8786"
    parts = _ADDRESS.fullmatch(address)
    if not parts or not 0 < int(parts["port"]) < 2**16:
        raise InputError(f"{where}: no Dask scheduler's address; {like}")
    if (parts["scheme"] or scheme) != scheme:
        if parts["scheme"] == "tls":
            raise InputError(f"{where}: tls:// needs certificates; name them in machine.dask_tls")
        raise InputError(
            f"{where}: no Dask scheduler's encrypted address; {like}"
            if certificates
            else f"{where}: no Dask scheduler's address; {like}"
        )
    host, port = parts["host"].strip("[]"), int(parts["port"])
    try:
        asyncio.run(asyncio.wait_for(_greet(host, port, context), ANSWER))
    except _Stranger as stranger:
        raise InputError(f"{where}: {stranger}") from None
    except TimeoutError:
        reason = f"nothing in {ANSWER} seconds"
    except (asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError):
        hint = f"know {certificates.certificate}?" if certificates else "want tls://?"
        reason = f"it closes the connection; does it {hint}"
    except ssl.SSLCertVerificationError as error:
        raise InputError(
            f"{where}: its certificate is not one of {certificates.ca} ({error.verify_message})"
        ) from None
    except ssl.SSLError as error:
        reason = f"no encrypted connection: {error.reason}"
    except Exception as error:  # whatever listens there may say anything
        reason = getattr(error, "strerror", None) or error
    else:
        return f"{scheme}://{parts['host']}:{port}", _is_here(host)
    reason = one_line(" ".join(str(reason).split()))[:200]
    raise InputError(f"{where}: no Dask scheduler answers there ({reason}); {like}")


class _Stranger(Exception):
    """Somebody answers, and is not the scheduler that is wanted."""


async def _greet(host, port, context):
    """Exchange Dask's greetings; ask who it is, and which versions it has."""
    from distributed.versions import get_versions

    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        _send(writer, {"compression": None, "python": sys.version_info[:3], "pickle-protocol": 5})
        greeting = await _receive(reader)
        if not {"compression", "python", "pickle-protocol"} <= greeting.keys():
            raise _Stranger(_LIKE_IT)
        _send(writer, {"op": "versions", "reply": True})
        theirs = (await _receive(reader)).get("packages")
        _send(writer, {"op": "identity", "n_workers": 0, "reply": True})
        kind = (await _receive(reader)).get("type")
        if kind is None:  # a worker refuses n_workers, which keeps a scheduler's answer short
            _send(writer, {"op": "identity", "reply": True})
            kind = (await _receive(reader)).get("type")
    finally:
        writer.transport.abort()
    if not isinstance(kind, str):
        raise _Stranger(_LIKE_IT)
    if not kind.endswith("Scheduler"):
        raise _Stranger(f"no Dask scheduler answers there, but a {short_repr(kind)}")
    ours = get_versions()["packages"]
    for name, parts in (("distributed", 3), ("python", 2), ("msgpack", 1)):
        version = theirs.get(name) if isinstance(theirs, dict) else None
        if str(version).split(".")[:parts] != ours[name].split(".")[:parts]:
            raise _Stranger(
                f"the scheduler has {name} {one_line(version)[:40]}, and this computer"
                f" {ours[name]}; install the same"
            )


def _send(writer, message):
    import msgpack

    text = msgpack.packb(message)
    # The length of the rest; how many frames there are; how long each is; the one frame.
    writer.write(struct.pack("QQQ", 16 + len(text), 1, len(text)) + text)


async def _receive(reader):
    """Return a message, a dict, with whatever is pickled in it left as it is."""
    import msgpack

    start = await reader.readexactly(8)
    (length,) = struct.unpack("Q", start)
    if length > _LONGEST:
        raise _Stranger(f"no Dask scheduler answers there, but something that says {start!r}")
    frames = await reader.readexactly(length)
    try:
        (count,) = struct.unpack_from("Q", frames)
        (size,) = struct.unpack_from("Q", frames, 8)
        start = 8 * (1 + count)
        message = msgpack.unpackb(frames[start : start + size], strict_map_key=False)
    except Exception:  # msgpack fails in several ways
        message = None
    if not isinstance(message, dict):
        raise _Stranger(_LIKE_IT)
    return message


def _is_here(host):
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _context(certificates):
    """Return what encrypts connections; name the file that is not right."""
    where = "params.yaml: machine.dask_tls"
    texts = {}
    for name, mark in (
        ("ca", "BEGIN CERTIFICATE"),
        ("certificate", "BEGIN CERTIFICATE"),
        ("key", "PRIVATE KEY"),
    ):
        path = Path(getattr(certificates, name))
        try:
            if not path.is_file():
                raise FileNotFoundError(2, "there is no such file")
            with open(path, "rb") as file:
                texts[name] = file.read(_LONGEST).decode("ascii", "replace")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{where}.{name}: {path}: cannot be read ({reason})") from None
        if mark not in texts[name]:
            raise InputError(f"{where}.{name}: {path}: should be a PEM file with -----{mark}-----")
    for name in ("ca", "certificate"):
        try:
            ssl.create_default_context(cadata=texts[name])
        except (ssl.SSLError, ValueError):
            path = getattr(certificates, name)
            raise InputError(f"{where}.{name}: {path}: holds no valid certificate") from None
    context = ssl.create_default_context(cafile=certificates.ca)
    context.check_hostname = False  # as in Dask: a CA of its own vouches for all of a cluster
    try:
        context.load_cert_chain(certificates.certificate, certificates.key, _no_passphrase)
    except _Passphrase:
        problem = "should not need a passphrase"
    except ssl.SSLError as error:
        problem = "holds no valid key"
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"is not the key of {certificates.certificate}"
    else:
        return context
    raise InputError(f"{where}.key: {certificates.key}: {problem}")


class _Passphrase(Exception):
    """OpenSSL would ask for it at the terminal."""


def _no_passphrase():
    raise _Passphrase
