"""The folder that `cardpose app --build` writes, and what is never overwritten in it."""

import contextlib
import errno
import json
import os
import re
from pathlib import Path

import pytest

from cardpose.cli import site
from cardpose.cli.site import APP, NETWORK, build_site, read_site
from cardpose.common.files import atomic_output
from cardpose.inference.card_file import write_card


@pytest.fixture
def files(small_app, stand_in):
    return read_site(stand_in, small_app)


def test_a_network_that_is_not_onnx_is_refused(complains, small_app, tmp_path):
    model = tmp_path / "cardpose.safetensors"
    model.write_bytes(b"weights")
    with complains("cardpose.safetensors: should be a .onnx file"):
        read_site(model, small_app)


def test_a_packaged_page_gives_the_same_files_without_the_repository(
    files, stand_in, small_app, tmp_path
):
    build_site(tmp_path / "packaged", {**files, "cardpose.onnx": b"its own network"})
    write_card(tmp_path / "packaged/cardpose.onnx", 0.31, [])  # by `cardpose calibrate`
    assert read_site(stand_in, tmp_path / "none", tmp_path / "packaged") == files


def content(folder):
    """Return {path: content or target} of all files and links in a folder."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def built(files, tmp_path):
    """A folder that an earlier build wrote, with a file that the next build does not have."""
    folder = tmp_path / "page"
    names = ["./", "old.js", *files.keys() - {"index.html", "sw.js"}]
    worker = re.sub(rb"FILES = .*;", b"FILES = %s;" % json.dumps(names).encode(), files["sw.js"])
    build_site(folder, {**files, "old.js": b"old", "sw.js": worker})
    return folder


def test_a_second_build_replaces_only_files_of_the_first(built, files):
    (built / "CNAME").write_bytes(b"cards.example")
    build_site(built, {**files, "page.js": b"// new"})
    assert content(built) == {**files, "page.js": b"// new", "CNAME": b"cards.example"}


def test_the_service_worker_is_written_last(monkeypatch, built, files):
    written = []

    @contextlib.contextmanager
    def noted(path):
        with atomic_output(path) as scratch:
            yield scratch
        written.append(path.name)

    monkeypatch.setattr(site, "atomic_output", noted)
    more = {**files, "zoom.js": b"// a name behind it in the alphabet"}
    build_site(built, more)
    assert len(written) == len(more)
    assert written[-1] == "sw.js"


@pytest.mark.parametrize("room", [0, 1, 4])
def test_a_full_disk_leaves_the_old_page_or_none(monkeypatch, built, files, tmp_path, room):
    before = content(built)
    new = {**files, "page.js": b"// new", "zoom.js": b"// new"}
    for folder in (built, tmp_path / "deep" / "new"):
        left = iter(range(room))

        def write(path, data, left=left, real=Path.write_bytes):
            if next(left, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(path, data)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", write)
            with pytest.raises(OSError, match=r"sw\.js"):
                build_site(folder, new)
    assert content(built) == before
    assert not (tmp_path / "deep").exists()
    build_site(built, new)
    assert content(built) == new


def test_a_build_goes_on_after_one_that_was_killed(files, tmp_path):
    folder = tmp_path / "page"
    left = folder / ".sw.js.0123abcd.part" / "page"
    left.mkdir(parents=True)
    (left / "index.html").write_bytes(b"half")
    (folder / ".sw.js.part.lock").touch()
    for name in ("index.html", "icons/icon.svg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(files[name])
    build_site(folder, files)
    assert content(folder) == files
    assert sorted(os.listdir(folder)) == sorted({name.split("/")[0] for name in files})


def test_a_folder_behind_links_that_form_a_circle_is_reported(files, tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        build_site(tmp_path / "a" / "page", files)


def test_a_damaged_package_is_reported(complains, stand_in, small_app, tmp_path):
    (tmp_path / "packaged").mkdir()
    with complains("packaged: the page is damaged"):
        read_site(stand_in, small_app, tmp_path / "packaged")


def test_a_build_into_a_folder_with_other_files_needs_force(complains, files, tmp_path):
    folder = tmp_path / "page"
    folder.mkdir()
    mine = {"notes.txt": b"mine", "index.html": b"mine"}
    for name, text in mine.items():
        (folder / name).write_bytes(text)
    with complains("page: holds something else already", "add --force"):
        build_site(folder, files)
    assert content(folder) == mine
    build_site(folder, files, force=True)
    assert content(folder) == {**files, "notes.txt": b"mine"}


def test_replacing_another_file_in_a_built_folder_needs_force(complains, built, files):
    (built / "new.js").write_bytes(b"mine")
    before = content(built)
    with complains("new.js: is there already and not written by cardpose", "add --force"):
        build_site(built, {**files, "new.js": b"// new"})
    assert content(built) == before
    build_site(built, {**files, "new.js": b"// new"}, force=True)
    assert content(built) == {**files, "new.js": b"// new"}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["index.html", "sw.js", "icons/icon.svg", "icons", "old.js"])
def test_links_in_the_folder_are_neither_followed_nor_removed(
    complains, built, files, tmp_path, name, force
):
    outside = tmp_path / "outside"
    (built / name).rename(outside)
    (built / name).symlink_to(outside)
    before = content(built), content(tmp_path)
    # Without sw.js the folder is not recognised as a build.
    strange = name == "sw.js" and not force
    with complains("holds something else" if strange else f"{name}: is a link, which"):
        build_site(built, {**files, "page.js": b"// new"}, force)
    assert (content(built), content(tmp_path)) == before


@pytest.mark.parametrize("name", ["index.html", "icons/icon.svg"])
def test_a_broken_link_is_not_followed(complains, built, files, tmp_path, name):
    (built / name).unlink()
    (built / name).symlink_to(tmp_path / "outside")
    with complains(name, "link, which is not followed"):
        build_site(built, files)
    assert not (tmp_path / "outside").exists()


def test_a_pipe_or_folder_in_the_place_of_a_file_stays(complains, built, files):
    (built / "index.html").unlink()
    os.mkfifo(built / "index.html")
    with complains("index.html: is not a file"):
        build_site(built, files, force=True)
    (built / "index.html").unlink()
    (built / "index.html").mkdir()
    with complains("index.html: is not a file"):
        build_site(built, files, force=True)
    (built / "icons/icon.svg").unlink()
    (built / "icons").rmdir()
    (built / "icons").write_bytes(b"mine")
    (built / "index.html").rmdir()
    with complains("icons: is not a folder"):
        build_site(built, files, force=True)
    assert (built / "icons").read_bytes() == b"mine"


def test_the_folder_itself_may_be_a_link(built, files, tmp_path):
    (tmp_path / "link").symlink_to(built)
    build_site(tmp_path / "link", files)
    assert content(built) == files
    assert (tmp_path / "link").is_symlink()


def test_an_impossible_folder_is_reported(complains, files, tmp_path):
    (tmp_path / "nothing").symlink_to(tmp_path / "none")
    with complains("nothing: is a link to nothing"):
        build_site(tmp_path / "nothing", files)
    (tmp_path / "file").write_bytes(b"mine")
    with complains("file: is no folder"):
        build_site(tmp_path / "file", files)
    with complains("file/page: lies in a file"):
        build_site(tmp_path / "file/page", files)
    with complains("holds the page's source"):
        build_site(APP, files, force=True)


HOSTILE = [
    '["cardpose.onnx.gz", "../outside"]',
    '["cardpose.onnx.gz", "%s"]',
    '["cardpose.onnx.gz", "icons/../../outside"]',
    '["cardpose.onnx.gz", "icons//../../outside"]',
    '["cardpose.onnx.gz", ".", "..", ""]',
    '["cardpose.onnx.gz", ".git/config"]',
    '["cardpose.onnx.gz", "a\\\\..\\\\..\\\\outside"]',
    '["cardpose.onnx.gz", "nul\\u0000"]',
    '["cardpose.onnx.gz", "\\ud800"]',
    '["cardpose.onnx.gz", 1, 2.5, null, true]',
    '["cardpose.onnx.gz", ["notes.txt"]]',
    '["cardpose.onnx.gz", {"notes.txt": 1}]',
    '["notes.txt"]',
    "[" * 100_000 + "]",
    "[" + "9" * 100_000 + "]",
    "[NaN]",
    "[",
]


@pytest.mark.parametrize("listed", HOSTILE, ids=lambda text: text[:30])
def test_a_forged_list_of_files_removes_nothing(complains, files, tmp_path, listed):
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "notes.txt").write_bytes(b"mine")
    (folder / NETWORK).write_bytes(b"mine")
    listed = listed.replace("%s", str(outside))
    text = f'const VERSION = "0123456789abcdef";\nconst FILES = {listed};\n'
    (folder / "sw.js").write_text(text, errors="surrogatepass")
    before = content(folder)
    with complains("page: holds something else already"):
        build_site(folder, files)
    assert content(folder) == before
    build_site(folder, files, force=True)
    assert content(folder) == {**files, "notes.txt": b"mine"}
    assert outside.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "worker",
    [b"", b"\xff\xfe", b"// a worker\n", b'const FILES = ["cardpose.onnx.gz", "notes.txt"];\n'],
)
def test_another_service_worker_is_not_taken_for_a_build(complains, files, tmp_path, worker):
    folder = tmp_path / "page"
    folder.mkdir()
    for name, text in (("notes.txt", b"mine"), (NETWORK, b"mine"), ("sw.js", worker)):
        (folder / name).write_bytes(text)
    with complains("page: holds something else already"):
        build_site(folder, files)
    assert (folder / "notes.txt").read_bytes() == b"mine"


def test_only_the_beginning_of_a_huge_service_worker_is_read(complains, files, tmp_path):
    folder = tmp_path / "page"
    folder.mkdir()
    with (folder / "sw.js").open("wb") as file:
        file.write(b'const VERSION = "0123456789abcdef";\nconst FILES = ["cardpose.onnx.gz"')
        file.truncate(2**40)  # which takes no room on the disk
    with complains("page: holds something else already"):
        build_site(folder, files)
