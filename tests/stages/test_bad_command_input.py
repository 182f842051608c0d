"""The command names networks, pictures and videos that it cannot use."""

import contextlib
import json
import pickle

import onnx.parser
import pytest
from bad_input import (
    CLIP,
    SHOT,
    TRAINED,
    claim,
    claims,
    copy,
    cramped,
    cut,
    fails,
    folder_at,
    gone,
    png_header,
    put,
    spoil,
    weights,
)
from support import SMALLEST, STAND_IN

from cardpose.cli import main
from cardpose.cli.site import build_site
from cardpose.common.errors import InputError

pytestmark = pytest.mark.usefixtures("no_workers")


def onnx_of(change=lambda text: text, **known):
    model = onnx.parser.parse_model(change(STAND_IN))
    onnx.helper.set_model_props(model, known)
    return model.SerializeToString()


def by_zero(text):
    return text.replace("ten = {10}", "ten = {0}")


OTHER = '<ir_version: 10, opset_import: ["": 18]> g (float[1] x) => (float[1] y) {y = Neg(x)}'
META = {"cardpose": json.dumps({**SMALLEST, "count": "picture"})}
MODELS = [
    # what, its name, how to come by it
    ("nothing", "a.onnx", lambda folder: None),
    ("an empty file", "a.onnx", put("a.onnx", b"")),
    ("half a network", "a.onnx", put("a.onnx", lambda: onnx_of(**META)[:1500])),
    ("a pickle", "a.onnx", put("a.onnx", pickle.dumps({"a": 1}))),
    ("something else", "a.onnx", put("a.onnx", lambda: onnx_of(lambda _: OTHER))),
    ("something else, labelled", "a.onnx", put("a.onnx", lambda: onnx_of(lambda _: OTHER, **META))),
    ("no metadata", "a.onnx", put("a.onnx", lambda: onnx_of())),
    (
        "garbled text",
        "a.onnx",
        put("a.onnx", lambda: onnx_of(**META).replace(b"pictures", b"pictur\xff\xfe")),
    ),
    ("garbled metadata", "a.onnx", put("a.onnx", lambda: onnx_of(cardpose="{"))),
    ("a list as metadata", "a.onnx", put("a.onnx", lambda: onnx_of(cardpose="[]"))),
    (
        "infinite counts",
        "a.onnx",
        put(
            "a.onnx", lambda: onnx_of(lambda text: text.replace("ten = {10}", "ten = {0}"), **META)
        ),
    ),
    ("a folder", "a.onnx", lambda folder: (folder / "a.onnx").mkdir()),
    ("another suffix", "a.pt", put("a.pt", pickle.dumps({"a": 1}))),
    ("half a network", TRAINED, cut(TRAINED)),
    ("a pickle", TRAINED, put(TRAINED, pickle.dumps({"a": 1}))),
    ("no numbers", TRAINED, weights(TRAINED, spoil)),
    ("no metadata", TRAINED, claims(TRAINED, "")),
    ("wrong claims", TRAINED, claims(TRAINED, claim(encoder="inverted"))),
    ("a folder", TRAINED, folder_at(TRAINED)),
]


@pytest.mark.parametrize(
    ("name", "damage"), [m[1:] for m in MODELS], ids=[f"{m[1]}: {m[0]}" for m in MODELS]
)
def test_predict_names_a_network_that_is_none(repository, capfd, name, damage):
    damage(repository)
    arguments = f"predict {SHOT} --model {name} --csv old.csv --force --output drawn".split()
    (repository / "old.csv").write_text("old")
    fails(repository, capfd, lambda: main.main(arguments), [name])


INPUTS = [
    ("half a picture", cut(SHOT), SHOT, "ends early"),
    ("a bomb", put(SHOT, png_header(30_000, 30_000)), SHOT, "too large"),
    ("a damaged PNG", put(SHOT, png_header(64, 48)[:-6]), SHOT, "damaged"),
    ("an empty picture", put(SHOT, b""), SHOT, "cannot be read as a picture"),
    ("half a video", cut(CLIP), CLIP, "cannot be opened as a video"),
    ("sound alone", copy("audio_only.mp4", CLIP), CLIP, "cannot be opened as a video"),
    ("text as a video", put(CLIP, "hello"), CLIP, "cannot be opened as a video"),
    ("nothing", gone(CLIP), CLIP, "there is no such file or folder"),
    ("an empty folder", folder_at("data/mine/videos/shots"), "data/mine/videos/shots", "holds no"),
]


@pytest.mark.parametrize(
    ("damage", "path", "words"), [i[1:] for i in INPUTS], ids=[i[0] for i in INPUTS]
)
def test_predict_names_what_cannot_be_read(repository, stand_in, capfd, damage, path, words):
    damage(repository)
    arguments = ["predict", path, "--model", str(stand_in), "--output", "drawn"]
    fails(repository, capfd, lambda: main.main(arguments), [path, words])


def test_predict_says_that_the_disk_is_full(repository, stand_in, capsys):
    (repository / "old.csv").write_text("old")
    arguments = ["predict", SHOT, "--model", str(stand_in), "--csv", "old.csv", "--force"]
    fails(repository, capsys, lambda: cramped(10, lambda: main.main(arguments)), ["File too large"])


def test_predict_says_that_a_drawn_video_cannot_be_written(repository, stand_in, capsys):
    arguments = ["predict", CLIP, "--model", str(stand_in), "--output", "drawn"]
    words = ["drawn/clip.mp4: cannot be written: File too large"]
    fails(repository, capsys, lambda: cramped(1000, lambda: main.main(arguments)), words)


@pytest.mark.parametrize("threads", ["0", "1025", "many", "9" * 5000])
def test_predict_takes_a_sensible_number_of_threads(threads, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(["predict", "a.jpg", "--threads", threads])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "--threads: should be a whole number above 0, at most 1024" in error
    assert len(error) < 1000


@pytest.mark.parametrize("listed", ['["../keep.txt", "old.js"]', "[1", "[[]]"])
def test_a_page_is_never_built_over_what_is_not_its_own(tmp_path, listed):
    site = tmp_path / "site"
    site.mkdir()
    for path in (tmp_path / "keep.txt", site / "old.js", site / "cardpose.onnx"):
        path.write_text("old")
    (site / "sw.js").write_text(f"const FILES = {listed};\n")
    with contextlib.suppress(InputError):  # of a folder that holds no page
        build_site(site, {"index.html": b"new"})
    assert (tmp_path / "keep.txt").read_text() == "old"
    assert (site / "index.html").exists() != (site / "old.js").exists()
