"""The page that counts in the browser: served on this machine, or written out for any host."""

import contextlib
import hashlib
import json
import re
import webbrowser
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cardpose.errors import InputError
from cardpose.files import replacing
from cardpose.predictor import load

APP = Path(__file__).resolve().parents[1] / "app"
HOST, PORT = "127.0.0.1", 5252
MODEL = "models/cardpose.onnx"

_PAGE = ("index.html", "style.css", "manifest.webmanifest", "*.js", "icons/*.svg", "icons/*.png")
_RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


def site(model, app=APP):
    """All files of the page, {path: content}: what stands in `app`, the network, what runs it.

    Args:
        model: an ONNX file that `cardpose.export` wrote.
        app: this repository's folder app/, its node packages installed.

    Raises:
        InputError: the model, or a package, is not there.
    """
    model, runtime = Path(model), app / "node_modules/onnxruntime-web/dist"
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


def build(folder, files):
    """Write the files of the page into a folder, ready for any web server.

    What an earlier build wrote there is replaced; whatever else lies beside it stays.

    Raises:
        InputError: it is no folder, or one that holds something else and no page.
    """
    folder = Path(folder)
    before = _built(folder)
    if folder.exists() and not before and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: holds something else already; name a new or an empty folder")
    for path, content in files.items():
        with replacing(folder / path) as scratch:
            scratch.write_bytes(content)
    for path in before - files.keys():
        (folder / path).unlink(missing_ok=True)


def _built(folder):
    """The files that an earlier build wrote into a folder, but for index.html and sw.js."""
    if not (folder / "cardpose.onnx").is_file() or not (folder / "sw.js").is_file():
        return set()
    kept = re.search(r"^const FILES = (\[.*\]);$", (folder / "sw.js").read_text(), re.MULTILINE)
    try:
        known = set(json.loads(kept[1])) - {"./"} if kept else set()
    except (ValueError, TypeError):
        return set()
    # Whatever that file says: what lies outside the folder is nobody's to remove.
    inside = folder.resolve()
    names = (path for path in known if isinstance(path, str))
    return {path for path in names if (folder / path).resolve().is_relative_to(inside)}


def server(files, port=PORT):
    """A server of these files on this machine alone, bound to its port but not started.

    Args:
        files: {path: content}; port: 0 for any that is free.

    Raises:
        InputError: the port is taken, or not allowed.
    """
    policy = re.search(rb'Content-Security-Policy"\s+content="([^"]+)"', files["index.html"])
    headers = {
        # A worker obeys the policy that it came with, not its page's.
        "Content-Security-Policy": policy[1].decode(),
        # Shared memory, and with it threads, needs these two.
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, files, headers))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "there is no such port"
        raise InputError(f"port {port}: {why}; choose another with --port") from None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, files, headers, *connection):
        self.files, self.fixed = files, headers
        super().__init__(*connection)

    def handle(self):
        with contextlib.suppress(ConnectionError):  # the browser has left
            super().handle()

    def do_GET(self):
        path = self.path.partition("?")[0].removeprefix("/") or "index.html"
        if path not in self.files:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = self.files[path]
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _TYPES[Path(path).suffix])
        self.send_header("Content-Length", str(len(content)))
        for name, value in self.fixed.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_):
        """Requests are nobody's news."""


def add_arguments(parser):
    """What `cardpose app` understands."""
    add = parser.add_argument
    add("--model", type=Path, default=Path(MODEL), metavar="FILE", help="the network, as ONNX")
    add("--port", type=int, default=PORT, help="serve at this port, 0 for any that is free")
    add("--no-browser", action="store_true", help="do not open a browser")
    add("--build", type=Path, metavar="FOLDER", help="write the page there instead, to be uploaded")


def main(chosen):
    """Serve the page until Ctrl+C, or write it into a folder, as `add_arguments` says."""
    files = site(chosen.model)
    load(chosen.model)  # says so if it is no network, before a browser has to
    if chosen.build:
        build(chosen.build, files)
        print(f"{chosen.build}: upload this folder to any web server")
        return
    with server(files, chosen.port) as running:
        url = f"http://{HOST}:{running.server_port}/"
        print(f"{url} (Ctrl+C stops)", flush=True)
        if not chosen.no_browser:
            webbrowser.open(url)
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            print()
