"""Any file and any parameter is read, or refused in one line."""

import os
import shutil

import numpy as np
import pytest
from bad_input import CARDCUT, HEADER, ROOT, SEEN, contents
from dvc.utils.serialize import dumps_yaml, loads_yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cardpose.common.errors import InputError
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.dataset.cardcut import convert_cardcut
from cardpose.dataset.names import split_frame_name
from cardpose.dataset.recordings import read_recordings
from cardpose.params import Params, load_params

pytestmark = pytest.mark.usefixtures("no_workers")

EXAMPLES = int(os.environ.get("CARDPOSE_EXAMPLES", "150"))
FUZZ = settings(deadline=None, derandomize=True, database=None, max_examples=EXAMPLES)
WORDS = ["", " ", ",", ";", '"', "'", "\n", "\r", "\r\n", "\0", "\ufeff", "nan", "inf", "-1", "1e9"]
WORDS += [
    "0,5",
    "9" * 30,
    "../",
    "/",
    "\\",
    "\x1b",
    "_frame_",
    "frame",
    "video",
    "²",
    "１",
    "\u2028",
]


@st.composite
def mutated(draw, text):
    """A valid file, changed in a few places."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.sampled_from(WORDS) | st.text(max_size=4)) + text[end:]
    return text.encode("utf-8", "surrogatepass")


def tables(text):
    anything = st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))
    below = anything.map(lambda rest: text.splitlines()[0].encode() + b"\n" + rest)
    return mutated(text) | st.binary() | anything | below


@pytest.fixture(scope="module")
def fuzzed(prepared, tmp_path_factory):
    """A data set and a downloaded set whose tables are overwritten again and again."""
    folder = tmp_path_factory.mktemp("fuzzed")
    shutil.copytree(prepared / "data/mine/videos", folder / "mine/videos")
    shutil.copytree(prepared / "data/cardcut/original", folder / "original")
    return folder


def result(read, *arguments):
    """What a reader returns, or None where it complained, in one line."""
    try:
        return read(*arguments)
    except InputError as error:
        message = str(error)
        assert message.isprintable()
        assert len(message) < 600
        return None


VALID = "video,cards_counted,total_cards\nclip.mp4,3,52\nfilm.mp4,17,52\nshots,40,52\n"


@FUZZ
@given(content=tables(VALID))
@example(content=VALID.encode())
def test_any_videos_csv_is_read_or_refused(fuzzed, content):
    (fuzzed / "mine/videos.csv").write_bytes(content)
    found = result(read_recordings, fuzzed / "mine")
    for recording in found or []:
        assert 1 <= recording.cards <= recording.total_cards <= 1000
        assert recording.path.resolve().is_relative_to(fuzzed / "mine/videos")
        assert recording.path.exists()
    names = [recording.name for recording in found or []]
    assert len(set(names)) == len(names)
    assert content != VALID.encode() or names == ["clip", "film", "shots"]


LABELLED = "\n".join([HEADER, "clip_frame_0" + SEEN, '"a,b_frame_20"' + SEEN])


@FUZZ
@given(content=tables(LABELLED))
@example(content=LABELLED.encode())
def test_any_annotations_csv_is_read_or_refused(fuzzed, content):
    (fuzzed / "mine/annotations.csv").write_bytes(content)
    found = result(read_annotations, fuzzed / "mine/annotations.csv")
    if found is None:
        assert content != LABELLED.encode()
        return
    frames, points, visible, mask = found
    assert len(frames) == len(set(frames)) == len(points) == len(visible) > 0
    assert not (visible & ~mask).any()
    assert all(split_frame_name(frame) for frame in frames)
    assert (points.shape[1:], points.dtype, visible.dtype) == ((8, 2), float, bool)
    assert ((points[visible] >= 0) & (points[visible] <= 1)).all()
    assert np.isnan(points[~visible]).all()


POINTED = "\n".join(
    [CARDCUT, *(f"{name}.jpg,1,7,52{SEEN}" for name in ("A_frame_0", "A_frame_20", "B_frame_0"))]
)


@FUZZ
@given(content=tables(POINTED))
@example(content=POINTED.encode())
def test_any_cardpoints_csv_is_converted_or_refused(fuzzed, content):
    (fuzzed / "original/cardpoints.csv").write_bytes(content)
    made = fuzzed / "made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    targets = [made / name for name in ("videos", "annotations.csv", "videos.csv")]
    before = contents(fuzzed / "original")
    result(convert_cardcut, fuzzed / "original", *targets)
    assert contents(fuzzed / "original") == before
    assert sorted(os.listdir(fuzzed)) == ["made", "mine", "original"]
    if targets[2].exists():
        names = {recording.name for recording in read_recordings(made)}
        assert {split_frame_name(frame)[0] for frame in read_annotations(targets[1])[0]} == names
    else:
        assert content != POINTED.encode()


NAMES = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20)


@FUZZ
@given(
    names=st.lists(NAMES.map(str.strip).filter(bool), min_size=1, max_size=4, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_annotations_come_back_as_they_were_written(fuzzed, names, seed):
    rng = np.random.default_rng(seed)
    frames = [f"{name}_frame_{rng.integers(10**6)}" for name in names]
    points, visible = rng.random((len(frames), 8, 2)), rng.random((len(frames), 8)) < 0.7
    write_annotations(fuzzed / "mine/written.csv", frames, points, visible)
    read, places, seen, _ = read_annotations(fuzzed / "mine/written.csv")
    assert read == frames
    np.testing.assert_array_equal(seen, visible)
    points[~visible] = np.nan
    np.testing.assert_allclose(places, points, atol=5.1e-7)


YAML = loads_yaml((ROOT / "params.yaml").read_text())
KEYS = [(name,) for name in YAML] + [
    (section, name)
    for section, values in YAML.items()
    if isinstance(values, dict)
    for name in values
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
SCALARS |= st.sampled_from([10**400, -1, 0, 1, 2, 10**9, 1e300, "..", "a\nb", b"\xff"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=8,
)


def accepted(path):
    found = result(load_params, path)
    assert found is None or isinstance(found, Params)
    return found


@FUZZ
@given(changes=st.lists(st.tuples(st.sampled_from(KEYS), VALUES), min_size=1, max_size=3))
def test_any_value_of_a_parameter_is_taken_or_refused(fuzzed, changes):
    values = loads_yaml((ROOT / "params.yaml").read_text())
    for (*section, name), value in changes:
        target = values[section[0]] if section else values
        if isinstance(target, dict):
            target[name] = value
    (fuzzed / "mine/params.yaml").write_text(dumps_yaml(values))
    accepted(fuzzed / "mine/params.yaml")


@FUZZ
@given(content=tables((ROOT / "params.yaml").read_text()))
def test_any_params_yaml_is_read_or_refused(fuzzed, content):
    (fuzzed / "mine/params.yaml").write_bytes(content)
    accepted(fuzzed / "mine/params.yaml")
