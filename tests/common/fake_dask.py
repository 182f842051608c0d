"""Messages as a Dask scheduler sends them."""

import struct

import msgpack

OPTIONS = {"dashboard_address": ":0", "processes": False, "silence_logs": 50}


GREETING = {"compression": None, "python": [3, 11, 7], "pickle-protocol": 5}


def message(content, *frames):
    """Return a message as Dask sends it."""
    frames = [content if isinstance(content, bytes) else msgpack.packb(content), *frames]
    text = struct.pack(f"{1 + len(frames)}Q", len(frames), *map(len, frames)) + b"".join(frames)
    return struct.pack("Q", len(text)) + text


def says(*texts):
    def answer(peer):
        for text in texts:
            peer.sendall(text)

    return answer


def says_and_leaves(*texts):
    answer = says(*texts)
    answer.leaves = True
    return answer
