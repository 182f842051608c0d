"""Every mistake in a user's files and parameters is named in one line, and changes nothing."""

import os
import pickle
import subprocess
import sys

import pytest
from bad_input import (
    CLIP,
    HEADER,
    LABELS,
    LOSSES,
    POINTS,
    PRETRAINED,
    ROOT,
    SEEN,
    SHOT,
    TRAINED,
    VIDEOS,
    all_of,
    claim,
    claims,
    complaint,
    contents,
    copy,
    cut,
    edit,
    fails,
    folder_at,
    gone,
    jpeg,
    label,
    params,
    pipe_at,
    png_header,
    point,
    put,
    row,
    spoil,
    stage,
    weights,
)

pytestmark = pytest.mark.usefixtures("no_workers")

BAD = {
    "extract_frames": [
        # what, how to come by it, words of the message
        # Videos
        ("a video that is empty", put(CLIP, b""), [CLIP, "cannot be opened as a video"]),
        ("a video cut off before its contents", cut(CLIP), [CLIP, "cannot be opened"]),
        ("a streamed video cut off", copy("faststart.mp4", CLIP, 0.95), [CLIP, "17 frames of 25"]),
        ("a streamed video cut off early", copy("faststart.mp4", CLIP, 0.6), [CLIP, "no frame"]),
        ("an mkv cut off", copy("plain.mkv", CLIP, 0.8), [CLIP, "12 frames of 25"]),
        ("sound alone", copy("audio_only.mp4", CLIP), [CLIP, "cannot be opened as a video"]),
        ("text as a video", put(CLIP, b"packet of 3\n" * 99), [CLIP, "cannot be opened"]),
        ("a video of no frames", copy("none.mp4", CLIP), [CLIP, "cannot be opened"]),
        ("an mkv of no frames", copy("none.mkv", CLIP), [CLIP, "cannot be opened"]),
        ("a picture as a video", put(CLIP, jpeg), [CLIP, "is a picture, not a video"]),
        ("a pipe as a video", pipe_at(CLIP), ["line 2", "clip.mp4", "a file or a folder"]),
        ("a missing video", gone(CLIP), [VIDEOS, "line 2", f"there is no {CLIP}"]),
        # Folders of pictures
        ("no pictures", folder_at("data/mine/videos/shots"), ["shots: holds no pictures"]),
        ("a picture twice", put(SHOT.replace("_1", "_01"), jpeg), ["same number", "shot_01"]),
        ("a picture without number", put(SHOT.replace("_1", ""), jpeg), ["shot.jpg", "number"]),
        ("half a picture", cut(SHOT), [SHOT, "ends early"]),
        ("an empty picture", put(SHOT, b""), [SHOT, "cannot be read as a picture"]),
        ("text as a picture", put(SHOT, "hello"), [SHOT, "cannot be read as a picture"]),
        ("a damaged PNG", put(SHOT, png_header(64, 48)[:-6]), [SHOT, "damaged"]),
        ("a bomb", put(SHOT, png_header(30_000, 30_000)), [SHOT, "too large", "134,217,728"]),
        (
            "a part of 4 GB",
            put(SHOT, b"\x89PNG\r\n\x1a\n" + bytes([0, 0, 0, 13]) + b"IHDR" + b"\xff" * 99),
            [SHOT, "damaged"],
        ),
        ("beyond OpenCV", put(SHOT, png_header(2_000_000, 2)), [SHOT, "picture"]),
        ("a HEIC picture", put(SHOT, b"\0\0\0\x18ftypheic" + bytes(99)), [SHOT, "HEIC", "JPEG"]),
        ("a folder as a picture", folder_at(SHOT), [SHOT, "Is a directory"]),
        # videos.csv
        ("a missing table", gone(VIDEOS), [VIDEOS, "No such file"]),
        ("a folder as a table", folder_at(VIDEOS), [VIDEOS, "Is a directory"]),
        ("an empty table", put(VIDEOS, b""), [VIDEOS, "line 1", "no column video"]),
        ("semicolons", edit(VIDEOS, ",", ";"), [VIDEOS, "line 1", "commas between"]),
        ("tabs", edit(VIDEOS, ",", "\t"), [VIDEOS, "line 1", "commas between"]),
        ("UTF-16", edit(VIDEOS, "v", "v", "utf-16"), [VIDEOS, "should be UTF-8 text"]),
        ("a zero byte", edit(VIDEOS, "film", "fi\0lm"), [VIDEOS, "line 3", "zero byte"]),
        ("an unclosed quote", edit(VIDEOS, "clip", '"clip'), [VIDEOS, "line 2", "quote"]),
        ("a quote over two lines", row(2, '"clip\nx.mp4",3,52'), ["line 2", "quote"]),
        ("a huge value", row(3, "x" * 200_000 + ",3,52"), [VIDEOS, "line 3", "field larger"]),
        ("a long name", row(3, "x" * 201 + ".mp4,3,52"), ["line 3", "at most 200 bytes"]),
        ("a long folder", row(3, "x" * 300 + "/a.mp4,3,52"), ["line 3", "File name too long"]),
        ("a renamed column", edit(VIDEOS, "total_cards", "deck"), ["no column total_cards"]),
        ("a doubled column", edit(VIDEOS, "total_cards", "video"), ["no column total_cards"]),
        ("a column twice", edit(VIDEOS, "total_cards", "total_cards,video"), ["video", "twice"]),
        ("a value too many", row(3, "film.mp4,17,52,9"), ["line 3", "3 values", "got 4"]),
        ("a value too few", row(3, "film.mp4,17"), ["line 3", "total_cards", "empty"]),
        ("a row twice", row(3, "clip.mp4,3,52"), ["line 3", "'clip.mp4'", "twice"]),
        ("a count of NaN", row(3, "film.mp4,NaN,52"), ["line 3", "cards_counted", "whole", "NaN"]),
        ("an infinite count", row(3, "film.mp4,inf,52"), ["line 3", "cards_counted", "inf"]),
        ("a count with a comma", row(3, 'film.mp4,"1,5",52'), ["cards_counted", "'1,5'"]),
        ("a count above the deck", row(3, "film.mp4,53,52"), ["line 3", "at most", "52"]),
        ("a count of none", row(3, "film.mp4,0,52"), ["line 3", "between 1 and 1000"]),
        ("a line wrong below a blank one", row(3, "\nfilm.mp4,0,52"), ["line 4", "1 and 1000"]),
        ("a path upwards", row(3, "../videos/film.mp4,3,52"), ["line 3", "below videos/"]),
        ("an absolute path", row(3, "/etc/passwd,3,52"), ["line 3", "below videos/"]),
        ("backslashes", row(3, "..\\film.mp4,3,52"), ["line 3", "should have /"]),
        ("a control character", row(3, "fi\x1blm.mp4,3,52"), ["line 3", r"fi\x1blm"]),
        ("no name", row(3, ",17,52"), ["line 3", "video", "empty"]),
        ("the videos' own folder", row(3, ".,17,52"), ["line 3", "video"]),
        (
            "a name that means the parent folder",
            all_of(row(3, "...mp4,17,52"), copy("plain.mp4", "data/mine/videos/...mp4")),
            ["line 3", "no recording can be named"],
        ),
        (
            "the index's own name",
            all_of(row(3, "index.csv.mp4,1,2"), put("data/mine/videos/index.csv.mp4", b"")),
            ["line 3", "no recording can be named 'index.csv'"],
        ),
        # params.yaml
        ("no parameters", gone("params.yaml"), ["params.yaml", "No such file"]),
        ("a tab", put("params.yaml", "seed:\n\t- 0\n"), ["params.yaml", "no valid YAML"]),
        (
            "a name twice",
            edit("params.yaml", "\nseed: 0", "\nseed: 0\nseed: 1"),
            ["'seed' is there"],
        ),
        (
            "a name twice inside",
            edit("params.yaml", "\n  cards: 30", "\n  cards: 30\n  cards: 2"),
            ["'ca"],
        ),
        ("nested too deeply", put("params.yaml", "a: " + "[" * 9999), ["nested too deeply"]),
        ("code", put("params.yaml", "seed: !!python/object/apply:os.getcwd []"), ["no valid YAML"]),
        ("a wrong tag", put("params.yaml", "seed: !!int [1]"), ["params.yaml: no valid YAML"]),
        (
            "laughter",
            put(
                "params.yaml",
                "a: &a [x]\n"
                + "".join(
                    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n"
                    for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
                ),
            ),
            ["params.yaml"],
        ),
        ("an unknown parameter", params(sigmoid=1), ["sigmoid: no such parameter"]),
        ("text for a number", params(frame_step="20"), ["frame_step: ", "integer", "'20'"]),
        ("true for a number", params(frame_step=True), ["frame_step: ", "integer", "True"]),
        ("a step of 0", params(frame_step=0), ["frame_step: ", "greater than 0"]),
        ("a step backwards", params(frame_step=-5), ["frame_step: ", "greater than 0"]),
        ("a huge step", params(frame_step=10**9), ["frame_step: ", "1000000"]),
        ("sigma 0", params(sigma=0), ["sigma: ", "0.5"]),
        ("sigma NaN", params(sigma=float("nan")), ["sigma: ", "nan"]),
        ("sigma infinite", params(sigma=float("inf")), ["sigma: ", "100"]),
        ("a word for yes", params(unlabelled="some"), ["unlabelled: ", "boolean", "'some'"]),
        ("an infinite weight", params(loss__cards=float("inf")), ["loss.cards: "]),
        ("huge pictures", params(image_size=[100_000, 240]), ["image_size.0: ", "4096"]),
        ("tiny pictures", params(image_size=[16, 16]), ["image_size.0: ", "32"]),
        ("pictures off the stride", params(image_size=[66, 48]), ["image_size: width", "of 8"]),
        ("pictures off half the size", params(image_size=[68, 48]), ["width", "of 8", "half_size"]),
        ("a stride of 3", params(heatmap_stride=3), ["heatmap_stride: ", "2, 4 or 8"]),
        ("huge layers", params(model__widths=[8, 8, 10**9]), ["model.widths.2: ", "4096"]),
        ("too few layers", params(model__widths=[8]), ["model.widths: ", "3"]),
        ("a huge head", params(model__hidden=10**9), ["model.hidden: ", "4096"]),
        ("endless training", params(train__epochs=10**12), ["train.epochs: ", "100000"]),
        ("endless geometry", params(geometry__steps=10**12), ["geometry.steps: ", "1000000"]),
        ("a huge batch", params(train__batch_size=10**9), ["train.batch_size: ", "4096"]),
        ("a flat card", params(geometry__card=[63, 88, 0]), ["geometry.card.2: ", "than 0"]),
        (
            "a card on its side",
            params(geometry__card=[88, 63, 0.3]),
            ["geometry.card: ", "[88, 63"],
        ),
        ("a deck for a card", params(geometry__card=[63, 88, 15.6]), ["geometry.card: ", "0.05"]),
        (
            "a card in metres",
            params(geometry__card=[0.063, 0.088, 3e-4]),
            ["geometry.card: ", "mm"],
        ),
        ("a card without end", params(geometry__card=[63, 880, 0.3]), ["geometry.card.1: ", "300"]),
        ("two numbers of a card", params(geometry__card=[63, 88]), ["geometry.card: ", "3 items"]),
        ("a focal length in mm", params(geometry__focal=26), ["geometry.focal: ", "equal to 5"]),
        ("a rate of NaN", params(train__learning_rate=float("nan")), ["train.learning_rate: "]),
        ("an endless value", params(dataset="x/" * 10**5), ["dataset: ", "folder below data/"]),
        ("the folder above", params(dataset=".."), ["dataset: ", "'..'"]),
        ("this folder", params(dataset="."), ["dataset: ", "'.'"]),
        ("a folder elsewhere", params(dataset="../x"), ["dataset: ", "'../x'"]),
        ("no such data set", params(dataset="yours"), ["data/yours/videos.csv", "No such file"]),
    ],
    "make_heatmaps": [
        ("a labelled picture that is missing", label("shots_frame_7" + SEEN), ["shots_frame_7"]),
        ("a label past the end", label("clip_frame_25" + SEEN), ["1 label", "clip_frame_25"]),
        ("a label of no recording", label("clap_frame_0" + SEEN), ["1 label", "clap_frame_0"]),
        ("no frame's name", label("clip20" + SEEN), [LABELS, "line 2", "MyVideo_frame_20"]),
        ("an endless number", label(f"clip_frame_{'1' * 5000}{SEEN}"), ["line 2", "MyVideo"]),
        ("a number spelt otherwise", label("clip_frame_00" + SEEN), ["line 2", "MyVideo_frame"]),
        ("a label twice", label("clip_frame_5" + SEEN), ["'clip_frame_5' is there twice"]),
        ("semicolons", edit(LABELS, ",", ";"), [LABELS, "line 1", "commas between"]),
        ("decimal commas", label('clip_frame_0,1,"0,5","0,25"' + ",0,," * 7), ["line 2", "'0,5'"]),
        ("a place outside", label("clip_frame_0,1,1.5,0.25" + ",0,," * 7), ["between 0", "1.5"]),
        ("a place in pixels", label("clip_frame_0,1,320,240" + ",0,," * 7), ["_x", "got 320"]),
        ("a place of NaN", label("clip_frame_0,1,nan,0.25" + ",0,," * 7), ["_x", "0 and 1"]),
        ("a place of infinity", label("clip_frame_0,1,0.5,-inf" + ",0,," * 7), ["_y", "-inf"]),
        ("visible 2", label("clip_frame_0,2,0.5,0.25" + ",0,," * 7), ["visible", "0 and 1"]),
        ("visible yes", label("clip_frame_0,yes,0.5,0.25" + ",0,," * 7), ["visible", "'yes'"]),
        ("a missing column", edit(LABELS, "lower_left_back_y", "y"), ["lower_left_back_y"]),
        ("no labels", put(LABELS, HEADER + "\n"), [LABELS, "no rows"]),
        ("a missing index", gone("data/frames/index.csv"), ["index.csv", "No such file"]),
        ("a garbled index", put("data/frames/index.csv", b"\xff\0"), ["index.csv", "damaged"]),
        ("an index cut off", put("data/frames/index.csv", "frame,rec"), ["index.csv", "damaged"]),
        ("no summary", put("data/frames/recordings.csv", b""), ["recordings.csv", "damaged"]),
        (
            "half a frame",
            cut("data/frames/clip/clip_frame_5.jpg"),
            ["data/frames/clip/clip_frame_5.jpg: ends early"],
        ),
        (
            "a frame that is gone",
            gone("data/frames/film/film_frame_0.jpg"),
            ["data/frames/film/film_frame_0.jpg: cannot be read (No such file"],
        ),
    ],
    "train": [
        ("more folds than recordings", params(split__folds=4), ["split.folds: ", "videos, 3 "]),
        ("a fold past the last", params(split__fold=2), ["split.fold: should be below"]),
        (
            "a held-out unknown",
            params(split__test_videos=["clap"]),
            ["test_videos", "clap", "clip"],
        ),
        (
            "all held out",
            params(split__test_videos=["clip", "film", "shots"]),
            ["split: leaves no recording to train on"],
        ),
        ("too much validation", params(split__validation=1.0), ["split.validation: ", "0.5"]),
        ("no network", gone(PRETRAINED), [PRETRAINED, "there is no such file"]),
        ("a folder", folder_at(PRETRAINED), [PRETRAINED, "should be a network"]),
        ("half a network", cut(PRETRAINED), [PRETRAINED, "should be a network"]),
        ("a pickle", put(PRETRAINED, pickle.dumps({"a": 1})), [PRETRAINED, "should be a network"]),
        ("no numbers", weights(PRETRAINED, spoil), [PRETRAINED, "no numbers", "stem.0.weight"]),
        ("wider", weights(PRETRAINED, widths=[8, 8, 16]), ["widths [8, 8, 16]", "[8, 8, 8]"]),
        ("deeper", weights(PRETRAINED, widths=[8] * 4), [PRETRAINED, "widths [8, 8, 8, 8]"]),
        ("a larger head", weights(PRETRAINED, hidden=16), ["hidden 16", "should be with 8"]),
        ("other blocks", weights(PRETRAINED, encoder="inverted"), ["encoder inverted", "plain"]),
        ("other pictures", weights(PRETRAINED, image_size=[96, 72]), ["image_size [96, 72]"]),
        ("another stride", weights(PRETRAINED, stride=2), ["stride 2", "should be with 4"]),
        ("no header", gone("data/tensors/meta.json"), ["meta.json", "No such file"]),
        ("a garbled header", put("data/tensors/meta.json", b"{\xff"), ["meta.json", "damaged"]),
        ("a list as header", put("data/tensors/meta.json", "[1]"), ["meta.json", "damaged"]),
        (
            "a header of more",
            edit("data/tensors/meta.json", '"deck"', '"x": 1, "deck"'),
            ["data/tensors", "damaged"],
        ),
        ("a size of one", edit("data/tensors/meta.json", "64,", ""), ["data/tensors", "damaged"]),
        ("a header of less", put("data/tensors/meta.json", '{"deck": 1}'), ["meta.json"]),
        ("half the pictures", cut("data/tensors/pictures.npy"), ["pictures.npy", "damaged"]),
        ("empty counts", put("data/tensors/cards.npy", b""), ["cards.npy", "damaged"]),
        ("a garbled array", put("data/tensors/points.npy", b"\x93NUMPY\x01"), ["points.npy"]),
        ("fewer", copy("data/tensors/meta.json", "data/tensors/visible.npy"), ["visible.npy"]),
        ("no table", gone("data/tensors/frames.csv"), ["frames.csv", "No such file"]),
        ("another table", put("data/tensors/frames.csv", "a\n1\n"), ["frames.csv", "damaged"]),
        ("half a table", cut("data/tensors/frames.csv"), ["data/tensors/", "damaged"]),
        (
            "words for counts",
            edit("data/tensors/frames.csv", ",3,", ",x,"),
            ["frames.csv", "damag"],
        ),
    ],
    "evaluate": [
        ("no network", gone(TRAINED), [TRAINED, "there is no such file"]),
        ("an empty network", put(TRAINED, b""), [TRAINED, "should be a network"]),
        ("half a network", cut(TRAINED, 0.9), [TRAINED, "should be a network"]),
        ("no metadata", claims(TRAINED, ""), [TRAINED, "should be a network"]),
        ("a list as metadata", claims(TRAINED, "[]"), [TRAINED, "should be a network"]),
        ("huge claims", claims(TRAINED, claim(hidden=10**12)), [TRAINED, "should be a network"]),
        (
            "wrong claims",
            claims(TRAINED, claim(widths=[8, 8, 9])),
            [TRAINED, "should be a network"],
        ),
        ("no numbers", weights(TRAINED, spoil), [TRAINED, "no numbers"]),
        ("other pictures", weights(TRAINED, image_size=[96, 72]), ["[96, 72]", "[64, 48]"]),
        ("no network to start from", gone(PRETRAINED), [PRETRAINED, "there is no such file"]),
        ("another start", weights(PRETRAINED, image_size=[96, 72]), [PRETRAINED, "[96, 72]"]),
        ("half a frame", cut("data/frames/shots/shots_frame_1.jpg"), ["ends early"]),
        ("no frames", gone("data/frames"), ["data/frames/", "No such file"]),
        (
            "a garbled log",
            put(LOSSES, "\xff"),
            ["cards.tsv", "damaged"],
        ),
        ("no log", gone("metrics/train/metrics.json"), ["metrics/train/metrics.json", "No such"]),
    ],
    "export": [
        ("half a network", cut(TRAINED), [TRAINED, "should be a network"]),
        ("no metrics", gone("metrics/evaluate.json"), ["metrics/evaluate.json", "No such file"]),
        ("garbled metrics", put("metrics/evaluate.json", '{"cards'), ["evaluate.json", "damaged"]),
        ("a list of metrics", put("metrics/evaluate.json", "[]"), ["evaluate.json", "damaged"]),
    ],
    "convert_cardcut": [
        ("no download", gone("data/cardcut/original"), ["missing", "data/cardcut/README.md"]),
        ("a file of pictures", put(POINTS, jpeg), [POINTS, "UTF-8"]),
        ("semicolons", edit(POINTS, ",", ";"), [POINTS, "line 1", "commas between"]),
        ("a path upwards", point("A_frame_0.jpg", "../A_frame_0.jpg"), ["line 2", "bare file"]),
        ("a recording upwards", point("A_frame_0.jpg", ".._frame_0.jpg"), ["line 2", "named '..'"]),
        ("no frame's name", point("B_frame_0.jpg", "B.jpg"), ["line 4", "MyVideo_frame_20"]),
        ("a picture that is missing", point("B_frame_0.jpg", "C_frame_0.jpg"), ["C_frame_0.jpg"]),
        (
            "a count above the deck",
            point("B_frame_0.jpg,1,7,52", "B_frame_0.jpg,1,7,5"),
            ["line 4"],
        ),
        ("two counts", point("A_frame_20.jpg,1,7", "A_frame_20.jpg,1,8"), ["A: ", "different"]),
        ("a place outside", point("B_frame_0.jpg,1,7,52,1,0.5", "B_frame_0.jpg,1,7,52,1,5"), ["5"]),
        ("annotated 7", point("B_frame_0.jpg,1,", "B_frame_0.jpg,7,"), ["line 4", "annotated"]),
        (
            "half a picture",
            cut("data/cardcut/original/images/B_frame_0.jpg"),
            ["B_frame_0.jpg: ends early"],
        ),
    ],
}
CASES = [
    pytest.param(name, *case[1:], id=f"{name}: {case[0]}")
    for name, cases in BAD.items()
    for case in cases
]


@pytest.mark.parametrize(("name", "damage", "words"), CASES)
def test_a_stage_names_what_is_wrong_and_changes_nothing(repository, capfd, name, damage, words):
    damage(repository)
    fails(repository, capfd, lambda: stage(name), words)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut(SHOT), f"{SHOT}: ends early"),
        (copy("plain.mkv", CLIP, 0.8), f"{CLIP}: ends early: 12 frames of 25"),
    ],
)
def test_a_stage_as_a_process_says_one_line(repository, damage, words):
    damage(repository)
    before = contents(repository)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "stages.extract_frames"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert complaint(done.stderr).startswith(words)
    assert contents(repository) == before
