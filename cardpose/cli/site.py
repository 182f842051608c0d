"""Files of the web page: read them from the package, write them for any web server."""

import gzip
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG

from cardpose.cli.own_files import check_free
from cardpose.common.errors import InputError
from cardpose.common.files import atomic_output
from cardpose.inference.backends import read_onnx
from cardpose.inference.networks import PACKAGED_NETWORK, PACKAGED_PAGE

APP = Path(__file__).resolve().parents[2] / "app"  # in a clone of the repository
NETWORK = "cardpose.onnx.gz"  # hosts of pages compress no .onnx themselves
_OLD_NETWORK = "cardpose.onnx"  # as pages name it that were built earlier
_PAGE = ("index.html", "style.css", "manifest.webmanifest", "*.js", "icons/*.svg", "icons/*.png")
# Files of node packages, by their folders in node_modules and in the page.
_PACKAGES = {
    # Version 1.22 has 11 MB of WebAssembly. Version 1.30 has 14 MB, and counts no faster.
    ("onnxruntime-web/dist", "ort"): (
        "ort.wasm.min.mjs",
        "ort-wasm-simd-threaded.mjs",
        "ort-wasm-simd-threaded.wasm.zst",  # compressed by the Makefile
    ),
    ("fzstd/esm", "zstd"): ("index.mjs",),
    ("qrcode-generator/dist", "qr"): ("qrcode.mjs",),
}
# First two lines of sw.js, the page's service worker: its version and the files to cache.
_HEAD = re.compile(rb'const VERSION = "[0-9a-f]{16}";\r?\nconst FILES = (\[.*\]);\r?\n')
_HEAD_BYTES = 2**20  # number of bytes to search for these two lines
# Relative path in which no part begins with a dot.
_NAME = re.compile(r"(?!\.)[\w.-]+(?:/(?!\.)[\w.-]+)*", re.ASCII)


def read_site(
    model: str | Path, app: Path = APP, packaged: Path = PACKAGED_PAGE
) -> dict[str, bytes]:
    """Return all files of the page, {path: content}: its source, the network and ONNX Runtime.

    Args:
        model: ONNX file that `inference.export` wrote.
        app: folder app/ of the repository, with its node packages installed.
        packaged: page that `build_site` wrote into the installed package. Where it exists, `app` is
            not needed.

    Raises:
        InputError: the model is missing or not an ONNX file, or a package is not installed.
    """
    model = Path(model)
    if model.suffix != ".onnx":
        raise InputError(f"{model}: should be a .onnx file, which is what browsers can run")
    if not model.is_file():
        raise InputError(f"{model}: there is no such file; `make repro` makes it")
    files = _built_page(packaged) if packaged.is_dir() else _source_page(app)
    files[NETWORK] = gzip.compress(read_onnx(model), 6, mtime=0)
    files = dict(sorted(files.items()))
    # The version is a hash of all files. Browsers update the page when sw.js changes.
    version = hashlib.sha256()
    for path, content in files.items():
        version.update(path.encode() + content)
    cached = ["./", *(path for path in files if path not in ("index.html", "sw.js"))]
    head = f'const VERSION = "{version.hexdigest()[:16]}";\nconst FILES = {json.dumps(cached)};\n'
    files["sw.js"] = head.encode() + files["sw.js"]
    return files


def _source_page(app: Path) -> dict[str, bytes]:
    """Return the files of the page without the network, from the repository."""
    if not (app / "index.html").is_file():
        raise InputError(
            f"{app}: the page is not there: install a wheel that `make wheel` built, or run"
            " cardpose from a clone of its repository"
        )
    found = {
        path.relative_to(app).as_posix(): path
        for pattern in _PAGE
        for path in sorted(app.glob(pattern))
    }
    for (package, folder), names in _PACKAGES.items():
        for name in names:
            found[f"{folder}/{name}"] = path = app / "node_modules" / package / name
            if not path.is_file():
                raise InputError(f"{path}: is not installed yet; `make app` does that")
    return {name: path.read_bytes() for name, path in found.items()}


def _built_page(folder: Path) -> dict[str, bytes]:
    """Return the files of a page that `build_site` wrote, without the head of sw.js.

    The network and the thickness of the user's cards, which `card_file` may store beside it, are
    left out.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    paths = [path for path in paths if not path.name.startswith(f"{PACKAGED_NETWORK.stem}.")]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    if not {"index.html", "sw.js"} <= files.keys():
        raise InputError(f"{folder}: the page is damaged; install cardpose again")
    return files | {"sw.js": _HEAD.sub(b"", files["sw.js"], count=1)}


def build_site(folder: str | Path, files: Mapping[str, bytes], force: bool = False) -> None:
    """Write the page into a folder that any web server can serve.

    Files of an earlier build are replaced or removed; other files stay. Links inside the folder
    are never followed; the folder itself may be a link. All files are written to a hidden folder
    first, so a full disk leaves the old page. The next build goes on after one that was killed.

    Args:
        files: {path: content}, from `read_site`.
        force: also replace files that no earlier build wrote.

    Raises:
        InputError: the folder holds other files, or a link where a file belongs, or another process
            builds there. No file is written in that case.
    """
    folder = Path(folder)
    if folder.is_symlink() and not folder.exists():
        raise InputError(f"{folder}: is a link to nothing; name a folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is no folder; name a new or an empty one")
    real = Path(os.path.realpath(folder))
    if any(real.is_relative_to(source) for source in (APP, PACKAGED_PAGE)):
        raise InputError(f"{folder}: holds the page's source; name another folder")
    before = _built_files(folder)
    if not before and not force and _holds_others(folder, files):
        raise InputError(
            f"{folder}: holds something else already; name a new or an empty folder, or add --force"
        )

    def is_ours(path: str | Path) -> bool:
        name = Path(path).relative_to(folder).as_posix()
        return name in before or _is_copy(Path(path), files[name])

    for path in sorted(before | files.keys()):
        _check_place(folder, path)
        check_free(folder / path, is_ours, force)
    # sw.js comes last: browsers fetch the other files again once it has changed.
    with atomic_output(folder / "sw.js") as worker:
        page = worker.with_name("page")
        for path, content in files.items():
            (page / path).parent.mkdir(parents=True, exist_ok=True)
            (page / path).write_bytes(content)
        for path in files.keys() - {"sw.js"}:
            with atomic_output(folder / path) as scratch:
                os.replace(page / path, scratch)
        os.replace(page / "sw.js", worker)
        for path in before - files.keys():
            (folder / path).unlink(missing_ok=True)


def _holds_others(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Return whether a folder holds more than a build of `files` that was killed has left."""
    if not folder.exists():
        return False
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        left = any(re.fullmatch(r"\..+\.part(\.lock|\.over)?", part) for part in parts)
        if left or (path.is_dir() and not path.is_symlink()):
            continue
        if not _is_copy(path, files.get("/".join(parts))):
            return True
    return False


def _is_copy(path: Path, content: bytes | None) -> bool:
    """Return whether a path is a regular file with this content."""
    return (
        content is not None
        and S_ISREG(path.lstat().st_mode)
        and path.stat().st_size == len(content)
        and path.read_bytes() == content
    )


def _check_place(folder: Path, path: str) -> None:
    """Refuse a path in `folder` that passes a link or leads to anything but a file."""
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


def _built_files(folder: Path) -> set[str]:
    """Return the files of an earlier build in a folder, read from its sw.js.

    Another program may have written that list. So accept it only if it has the form of a build's
    list, and all its paths stay inside the folder.
    """
    try:
        with open(folder / "sw.js", "rb", opener=_open_no_link) as file:
            head = _HEAD.match(file.read(_HEAD_BYTES))
        listed = json.loads(head[1]) if head else None
    except (OSError, ValueError, RecursionError):
        return set()
    if not isinstance(listed, list) or not any(name in listed for name in (NETWORK, _OLD_NETWORK)):
        return set()
    if not all(
        isinstance(path, str) and (path == "./" or _NAME.fullmatch(path)) for path in listed
    ):
        return set()
    return {"index.html", "sw.js", *listed} - {"./"}


def _open_no_link(path: str, flags: int) -> int:
    # Windows has neither flag.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
