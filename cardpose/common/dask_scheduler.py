"""Check that a Dask scheduler answers at an address.

Dask exchanges pickles, and unpickling can run any code. So this module first asks the program at
the address to identify itself. It unpickles nothing and refuses messages above 1 MiB.
"""

import asyncio
import contextlib
import ipaddress
import re
import ssl
import struct
import sys
from typing import Any

from cardpose.common.errors import InputError, one_line, short_repr
from cardpose.common.tls import CertificatePaths, tls_context

ANSWER = 5  # longest wait for an answer of the scheduler, in seconds
_LONGEST_ANSWER = 2**20  # bytes; a scheduler's answers have a few hundred
_UNLIKE_DASK = "no Dask scheduler answers there, but something like it"
_ADDRESS = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})/?"
)
_COMPARED_PARTS = {"distributed": 3, "python": 2, "msgpack": 1}  # parts of each version


class _NotDask(Exception):
    """The program at the address is no suitable Dask scheduler."""


def check_scheduler(address: str, certificates: CertificatePaths | None = None) -> tuple[str, bool]:
    """Check that a Dask scheduler of the installed version answers at an address.

    Args:
        address: like tcp://10.0.0.5:8786, or tls:// with certificates.

    Returns:
        The address with its scheme, and whether it belongs to this computer.

    Raises:
        InputError: a certificate file cannot be used; the address is malformed or has the wrong
            scheme; nothing answers; the program there is no Dask scheduler or has another version.
    """
    where = f"params.yaml: machine.dask: {one_line(address)[:100]}"
    context = tls_context(certificates) if certificates else None
    scheme = "tls" if certificates else "tcp"
    example = f"should be like {scheme}://10.0.0.5:8786"
    host, port = _split_address(address, where, scheme, example)
    try:
        asyncio.run(asyncio.wait_for(_greet(host.strip("[]"), port, context), ANSWER))
    except _NotDask as problem:
        raise InputError(f"{where}: {problem}") from None
    except TimeoutError:
        reason: object = f"nothing in {ANSWER} seconds"
    except (asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError):
        hint = f"know {certificates.certificate}?" if certificates else "want tls://?"
        reason = f"it closes the connection; does it {hint}"
    except ssl.SSLCertVerificationError as error:
        ca = certificates.ca if certificates else None
        raise InputError(
            f"{where}: its certificate is not one of {ca} ({error.verify_message})"
        ) from None
    except ssl.SSLError as error:
        reason = f"no encrypted connection: {error.reason}"
    except Exception as error:  # an unknown program may answer anything
        reason = getattr(error, "strerror", None) or error
    else:
        return f"{scheme}://{host}:{port}", is_loopback(host.strip("[]"))
    reason = one_line(" ".join(str(reason).split()))[:200]
    raise InputError(f"{where}: no Dask scheduler answers there ({reason}); {example}")


def is_loopback(host: str) -> bool:
    """Return whether a host name or IP address belongs to this computer."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _split_address(address: str, where: str, scheme: str, example: str) -> tuple[str, int]:
    """Return host (IPv6 in brackets) and port of an address. Its scheme is optional."""
    parts = _ADDRESS.fullmatch(address)
    if not parts or not 0 < int(parts["port"]) < 2**16:
        raise InputError(f"{where}: no Dask scheduler's address; {example}")
    if (parts["scheme"] or scheme) != scheme:
        if parts["scheme"] == "tls":
            raise InputError(f"{where}: tls:// needs certificates; name them in machine.dask_tls")
        kind = "encrypted address" if scheme == "tls" else "address"
        raise InputError(f"{where}: no Dask scheduler's {kind}; {example}")
    return parts["host"], int(parts["port"])


async def _greet(host: str, port: int, context: ssl.SSLContext | None) -> None:
    """Exchange Dask's greetings; check the type and the versions of the other side."""
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        _send(writer, {"compression": None, "python": sys.version_info[:3], "pickle-protocol": 5})
        greeting = await _receive(reader)
        if not {"compression", "python", "pickle-protocol"} <= greeting.keys():
            raise _NotDask(_UNLIKE_DASK)
        _send(writer, {"op": "versions", "reply": True})
        versions = (await _receive(reader)).get("packages")
        # `n_workers` keeps a scheduler's answer short. Workers refuse it: ask them again without.
        _send(writer, {"op": "identity", "n_workers": 0, "reply": True})
        kind = (await _receive(reader)).get("type")
        if kind is None:
            _send(writer, {"op": "identity", "reply": True})
            kind = (await _receive(reader)).get("type")
    finally:
        writer.transport.abort()
    if not isinstance(kind, str):
        raise _NotDask(_UNLIKE_DASK)
    if not kind.endswith("Scheduler"):
        raise _NotDask(f"no Dask scheduler answers there, but a {short_repr(kind)}")
    _check_versions(versions)


def _check_versions(theirs: object) -> None:
    from distributed.versions import get_versions

    ours = get_versions()["packages"]
    for name, parts in _COMPARED_PARTS.items():
        version = theirs.get(name) if isinstance(theirs, dict) else None
        if str(version).split(".")[:parts] != ours[name].split(".")[:parts]:
            raise _NotDask(
                f"the scheduler has {name} {one_line(version)[:40]}, and this computer"
                f" {ours[name]}; install the same"
            )


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    import msgpack

    frame = msgpack.packb(message)
    # Length of the rest, number of frames, length of each frame, then the single frame.
    writer.write(struct.pack("QQQ", 16 + len(frame), 1, len(frame)) + frame)


async def _receive(reader: asyncio.StreamReader) -> dict[Any, Any]:
    """Return the first frame of a message. Pickles in it stay bytes."""
    import msgpack

    start = await reader.readexactly(8)
    (length,) = struct.unpack("Q", start)
    if length > _LONGEST_ANSWER:
        raise _NotDask(f"no Dask scheduler answers there, but something that says {start!r}")
    frames = await reader.readexactly(length)
    try:
        (count,) = struct.unpack_from("Q", frames)
        (size,) = struct.unpack_from("Q", frames, 8)
        first = 8 * (1 + count)
        message = msgpack.unpackb(frames[first : first + size], strict_map_key=False)
    except Exception:  # msgpack raises many types of errors
        message = None
    if not isinstance(message, dict):
        raise _NotDask(_UNLIKE_DASK)
    return message
