"""Files without end, pipes and large files are refused at once, wherever a file is read."""

import os
import signal

import pandera.pandas as pa
import pytest

from cardpose.common.json_files import read_json
from cardpose.common.regular_files import read_file, read_text_file
from cardpose.common.tables import name_column, read_own_table, read_table
from cardpose.common.yaml_files import read_yaml
from cardpose.pictures.reading import read_picture
from cardpose.pictures.videos import sampled_frames

SCHEMA = pa.DataFrameSchema({"frame": name_column()})
READERS = {
    "picture": read_picture,
    "video": lambda path: list(sampled_frames(path, 1)),
    "parameters": read_yaml,
    "json": read_json,
    "table": lambda path: read_table(path, SCHEMA),
    "own table": lambda path: read_own_table(path, ["frame"]),
}


@pytest.fixture(autouse=True)
def _alarm():
    signal.alarm(20)  # a read that waits ends the test
    yield
    signal.alarm(0)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["pipe", "zero", "link"])
def test_what_has_no_end_is_refused(tmp_path, complains, name, kind):
    path = tmp_path / "a"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "zero" else "/dev/stdin")
    if kind == "link":
        path.unlink()
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    with complains(f"{path}: should be a file, not a device, a pipe or a socket"):
        READERS[name](path)


@pytest.mark.parametrize("name", ["picture", "parameters", "json"])
def test_a_file_that_is_too_large_is_not_read(tmp_path, complains, name):
    with open(tmp_path / "a", "wb") as file:
        file.truncate(2**42)
    with complains(f"{tmp_path / 'a'}: is too large a file: it may have ", " bytes"):
        READERS[name](tmp_path / "a")


def test_a_table_without_line_ends_is_refused(tmp_path, complains):
    with open(tmp_path / "a.csv", "w") as file:
        file.write("frame\nfirst\n")
        file.truncate(2**24)
    with complains(f"{tmp_path / 'a.csv'}: line 3: should have less than 1,048,576 characters"):
        read_table(tmp_path / "a.csv", SCHEMA)


def test_the_largest_file_may_have_exactly_the_limit(tmp_path, complains):
    (tmp_path / "a").write_bytes(b"abc\r\nd\r")
    assert read_file(tmp_path / "a", 7) == b"abc\r\nd\r"
    assert read_text_file(tmp_path / "a", 7) == "abc\nd\n"
    with complains("it may have 6 bytes"):
        read_file(tmp_path / "a", 6)


def test_a_file_of_the_system_that_has_no_size_is_read(complains):
    assert read_file("/proc/self/status", 2**20).startswith(b"Name:")
    with complains("/proc/self/status: is too large a file"):
        read_file("/proc/self/status", 10)
