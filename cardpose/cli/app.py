"""The page that counts in the browser: served on this machine, or written out for any host."""

import hashlib
import json
import os
import re
import webbrowser
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG

from cardpose.cli.own_files import check_free
from cardpose.cli.page_server import ADDRESS, Server, host_names
from cardpose.common.errors import InputError
from cardpose.common.files import atomic_output
from cardpose.inference.predictor import load

APP = Path(__file__).resolve().parents[2] / "app"
HOST, PORT = ADDRESS, 5252
MODEL = "models/cardpose.onnx"
_PAGE = ("index.html", "style.css", "manifest.webmanifest", "*.js", "icons/*.svg", "icons/*.png")
_RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
# How sw.js begins, and names of files inside a folder.
_LIST = re.compile(rb'const VERSION = "[0-9a-f]{16}";\r?\nconst FILES = (\[.*\]);\r?\n')
_LIST_BYTES = 2**20
_NAME = re.compile(r"(?!\.)[\w.-]+(?:/(?!\.)[\w.-]+)*", re.ASCII)


def site(model, app=APP):
    """All files of the page, {path: content}: what stands in `app`, the network, what runs it.

    Args:
        model: an ONNX file that `inference.export` wrote.
        app: this repository's folder app/, its node packages installed.

    Raises:
        InputError: the model, or a package, is not there, or the model is no ONNX file.
    """
    model, runtime = Path(model), app / "node_modules/onnxruntime-web/dist"
    if model.suffix != ".onnx":
        raise InputError(f"{model}: should be a .onnx file, which is what browsers can run")
    if not model.is_file():
        raise InputError(f"{model}: there is no such file; `make repro` makes it")
    if not (app / "index.html").is_file():
        raise InputError(
            f"{app}: the page is not there; run cardpose from a clone of its repository"
        )
    if not all((runtime / name).is_file() for name in _RUNTIME):
        raise InputError(f"{runtime}: is not installed yet; `make app` does that")
    paths = sorted(path for pattern in _PAGE for path in app.glob(pattern))
    files = {path.relative_to(app).as_posix(): path.read_bytes() for path in paths}
    files |= {f"ort/{name}": (runtime / name).read_bytes() for name in _RUNTIME}
    files["cardpose.onnx"] = model.read_bytes()
    # A changed file changes the worker that keeps them, by which browsers know.
    version = hashlib.sha256()
    for path, content in files.items():
        version.update(path.encode() + content)
    kept = ["./", *(path for path in files if path not in ("index.html", "sw.js"))]
    head = f'const VERSION = "{version.hexdigest()[:16]}";\nconst FILES = {json.dumps(kept)};\n'
    files["sw.js"] = head.encode() + files["sw.js"]
    return files


def build_site(folder, files, force=False):
    """Write the files of the page into a folder, ready for any web server.

    What an earlier build wrote there is replaced or removed; whatever else lies beside it stays.
    Links in the folder are never followed; the folder itself may be a link.

    Args:
        force: also replace files that no earlier build wrote.

    Raises:
        InputError: the folder holds something else, or a link where a file belongs; then nothing
            is written.
    """
    folder = Path(folder)
    if folder.is_symlink() and not folder.exists():
        raise InputError(f"{folder}: is a link to nothing; name a folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is no folder; name a new or an empty one")
    if folder.resolve().is_relative_to(APP):
        raise InputError(f"{folder}: holds the page's source; name another folder")
    before = _built(folder)
    if not before and not force and folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"{folder}: holds something else already; name a new or an empty folder, or add --force"
        )
    for path in sorted(before | files.keys()):
        _check_place(folder, path)
        check_free(folder / path, lambda _, ours=path in before: ours, force)
    for path in sorted(files, key="sw.js".__eq__):  # last, as browsers take a new version by it
        with atomic_output(folder / path) as scratch:
            scratch.write_bytes(files[path])
    for path in before - files.keys():
        (folder / path).unlink(missing_ok=True)


def _check_place(folder, path):
    """Refuse a path inside a folder that leads through a link, or to anything but a file."""
    place, parts = folder, path.split("/")
    for depth, part in enumerate(parts, 1):
        place = place / part
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise InputError(f"{folder}: lies in a file; name another folder") from None
        wanted, name = (S_ISREG, "a file") if depth == len(parts) else (S_ISDIR, "a folder")
        if not wanted(mode):
            what = "a link, which is not followed" if S_ISLNK(mode) else f"not {name}"
            raise InputError(f"{place}: is {what}; remove it, or name another folder")


def _built(folder):
    """The files that an earlier build wrote into a folder; none where the list is not a build's."""
    try:
        with open(folder / "sw.js", "rb", opener=_without_links) as file:
            kept = _LIST.match(file.read(_LIST_BYTES))
        listed = json.loads(kept[1]) if kept else None
    except (OSError, ValueError, RecursionError):
        return set()
    if not isinstance(listed, list) or "cardpose.onnx" not in listed:
        return set()
    # Anybody could have written that list: such a name leads nowhere but into the folder.
    if not all(
        isinstance(path, str) and (path == "./" or _NAME.fullmatch(path)) for path in listed
    ):
        return set()
    return {"index.html", "sw.js", *listed} - {"./"}


def _without_links(path, flags):
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def site_server(files, port=PORT, hosts=()):
    """A server of these files on this machine alone, bound to its port but not started.

    Args:
        files: {path: content}.
        port: 0 for any that is free.
        hosts: names to answer to beside those of this machine.

    Raises:
        InputError: the port is taken, or not allowed, or a host is no name.
    """
    policy = re.search(rb'Content-Security-Policy"\s+content="([^"]+)"', files["index.html"])
    headers = {
        # A worker obeys the policy that it came with, not its page's; and no page can forbid by
        # itself that others show it in a frame.
        "Content-Security-Policy": f"{policy[1].decode()}; frame-ancestors 'none'",
        # Shared memory, and with it threads, needs these two.
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    names = host_names(hosts)
    try:
        return Server(files, headers, port, names)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "there is no such port"
        raise InputError(f"port {port}: {why}; choose another with --port") from None


def add_app_arguments(parser):
    """What `cardpose app` understands."""
    add = parser.add_argument
    add("--model", type=Path, default=Path(MODEL), metavar="FILE", help="the network, as ONNX")
    add("--port", type=int, default=PORT, help="serve at this port, 0 for any that is free")
    add(
        "--host",
        action="append",
        default=[],
        metavar="NAME",
        help="also answer to this name, where a proxy or a tunnel leads here (may be repeated)",
    )
    add("--no-browser", action="store_true", help="do not open a browser")
    add("--build", type=Path, metavar="FOLDER", help="write the page there instead, to be uploaded")
    add("--force", action="store_true", help="let --build replace files that it did not write")


def run_app(chosen):
    """Serve the page until Ctrl+C, or write it into a folder, as `add_arguments` says."""
    files = site(chosen.model)
    load(chosen.model)  # says so if it is no network, before a browser has to
    if chosen.build:
        build_site(chosen.build, files, chosen.force)
        print(f"{chosen.build}: upload this folder to any web server")
        return
    with site_server(files, chosen.port, chosen.host) as running:
        url = f"http://{HOST}:{running.server_port}/"
        print(f"{url} (Ctrl+C stops)", flush=True)
        if not chosen.no_browser:
            webbrowser.open(url)
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print()
