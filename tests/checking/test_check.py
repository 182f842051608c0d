"""`cardpose check`: what is wrong has to be found and named, what is right left alone."""

import csv
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from support import CARD, FOCAL, SIZE, seen

from cardpose.checking.check import check
from cardpose.checking.counts import MeasuredPacket, deck_findings
from cardpose.checking.findings import INFO, WRONG
from cardpose.checking.label_fit import LabelFitter, thickness_error
from cardpose.checking.report import worst_pictures
from cardpose.cli import main
from cardpose.dataset.annotations import read_annotations, write_annotations
from cardpose.geometry.keypoints import FLIP, KEYPOINTS
from cardpose.pictures.videos import sampled_frames
from cardpose.rendering.videos import render_dataset

STEP = 10
UL_FACE, UR_FACE, UL_BACK, UR_BACK, LL_FACE, LR_FACE, LL_BACK, LR_BACK = range(8)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Six recordings of 1 to 6 cards, 61 frames each, every fifth of them labelled."""
    folder = tmp_path_factory.mktemp("rendered")
    files = [folder / name for name in ("videos", "annotations.csv", "videos.csv")]
    render_dataset(*files, count=6, frames=61, seed=3)
    frames, points, visible, _ = read_annotations(files[1])
    kept = [k for k, frame in enumerate(frames) if int(frame.rpartition("_")[2]) % 5 == 0]
    write_annotations(files[1], [frames[k] for k in kept], points[kept], visible[kept])
    return folder


@pytest.fixture
def dataset(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "mine")


@pytest.fixture
def single(dataset):
    """The same with one recording listed and labelled, packet_06."""
    for name, kept in (("videos.csv", "packet_06.mp4,"), ("annotations.csv", "packet_06_frame")):
        header, *lines = (dataset / name).read_text().splitlines()
        lines = [line for line in lines if line.startswith(kept)]
        (dataset / name).write_text("\n".join([header, *lines]) + "\n")
    return dataset


def findings(dataset, step=STEP):
    def complain(error):
        raise error

    return check(dataset, step, FOCAL, CARD, complain)


def wrong(dataset):
    return [one for one in findings(dataset) if one.level == WRONG]


@pytest.fixture
def spoil(single):
    """spoil(change): calls change(points, visible) for a frame that shows seven corners or eight,
    all of the back among them, and writes what it returns; gives the frame's name, and points."""

    def spoilt(change, among=lambda points, visible: True):
        path = single / "annotations.csv"
        frames, points, visible, _ = read_annotations(path)
        for row in range(len(frames)):
            if visible[row].sum() >= 7 and among(points[row] * SIZE, visible[row]):
                break
        before = points[row] * SIZE
        points[row], visible[row] = change(points[row].copy(), visible[row].copy())
        write_annotations(path, frames, points, visible)
        return frames[row], before

    return spoilt


def test_nothing_is_wrong_with_rendered_labels(dataset):
    assert wrong(dataset) == []


@pytest.mark.parametrize("corner", [LL_BACK, LR_BACK, UL_BACK])
def test_a_shifted_corner_is_named_and_measured(single, spoil, corner):
    def change(points, visible):
        points[corner] += [12 / 640, -9 / 480]  # 15 pixels
        return points, visible

    frame, before = spoil(change, lambda points, _: (abs(points - 320) < 300).all(where=points > 0))
    (one,) = wrong(single)
    assert (one.name, one.what, one.corner) == (frame, "off its place", KEYPOINTS[corner])
    assert one.off == pytest.approx(15, abs=2)
    belongs = one.box[corner] * SIZE
    assert belongs == pytest.approx(before[corner], abs=2)


def test_two_swapped_corners_are_named(single, spoil):
    def change(points, visible):
        points[[UL_BACK, LR_BACK]] = points[[LR_BACK, UL_BACK]]
        return points, visible

    frame, before = spoil(change)
    (one,) = wrong(single)
    assert (one.name, one.what) == (frame, "swapped")
    assert one.corner == "upper_left_back and lower_right_back"
    assert one.off == pytest.approx(np.linalg.norm(before[UL_BACK] - before[LR_BACK]), abs=0.1)


def test_labels_that_no_box_explains_are_said_to_fit_none(single, spoil):
    def change(points, visible):
        return np.random.default_rng(0).random((8, 2)), np.ones(8, bool)

    frame, _ = spoil(change)
    (one,) = wrong(single)
    assert one.name == frame
    assert one.what.startswith("fits no box")


def test_exchanged_names_are_found(single, spoil):
    def change(points, visible):
        return points[list(FLIP)], visible[list(FLIP)]

    frame, _ = spoil(
        change, lambda points, _: (points[1::2, 0] - points[::2, 0])[[1, 3]].min() > 40
    )
    (one,) = wrong(single)
    assert (one.name, one.what) == (frame, "mirrored: left and right exchanged")


def test_one_pair_of_exchanged_names_is_named(single, spoil):
    def change(points, visible):
        points[[UL_BACK, UR_BACK]] = points[[UR_BACK, UL_BACK]]
        return points, visible

    frame, _ = spoil(change, lambda points, _: points[UR_BACK, 0] - points[UL_BACK, 0] > 40)
    (one,) = wrong(single)
    assert one.name == frame
    assert one.corner == "upper_left_back and upper_right_back"


def test_upper_and_lower_exchanged_is_found(single, spoil):
    turned = [LR_FACE, LL_FACE, LR_BACK, LL_BACK, UR_FACE, UL_FACE, UR_BACK, UL_BACK]

    def change(points, visible):
        order = np.array(turned)[[1, 0, 3, 2, 5, 4, 7, 6]]  # left stays left
        return points[order], visible[order]

    frame, _ = spoil(change)
    (one,) = wrong(single)
    assert (one.name, one.what) == (frame, "upper and lower exchanged")


def test_labels_of_the_mirror_image_are_found_by_the_picture(single, spoil):
    """They fit a box, and their names obey the rule."""

    def change(points, visible):
        return points[list(FLIP)] * [-1, 1] + [1, 0], visible[list(FLIP)]

    frame, _ = spoil(change, lambda points, _: abs(np.nanmean(points[:, 0]) - 320) > 20)
    (one,) = wrong(single)
    assert one.name == frame
    assert "mirrored: flipped" in one.what


def test_a_visible_corner_outside_the_picture_is_found(single, spoil):
    def change(points, visible):
        points[LL_BACK, 0] = -0.1
        return points, visible

    frame, _ = spoil(change)
    one = next(one for one in wrong(single) if one.what == "outside the picture")
    assert (one.name, one.corner) == (frame, "lower_left_back")
    assert one.off == pytest.approx(64, abs=0.1)


def test_a_corner_of_the_back_that_has_no_label_is_found(single, spoil):
    def change(points, visible):
        visible[LL_BACK] = False
        return points, visible

    frame, _ = spoil(change, lambda points, _: abs(points[LL_BACK] - [320, 240]).max() < 200)
    (one,) = wrong(single)
    assert (one.name, one.what, one.corner) == (frame, "not marked visible", "lower_left_back")


def test_labels_that_people_scatter_are_left_alone(dataset):
    """1.7 pixels in x and in y are 2.4 together."""
    frames, points, visible, _ = read_annotations(dataset / "annotations.csv")
    noise = np.random.default_rng(0).normal(0, 1.7, points.shape) / SIZE
    write_annotations(dataset / "annotations.csv", frames, np.clip(points + noise, 0, 1), visible)
    assert len(wrong(dataset)) <= 0.01 * len(frames)


@pytest.mark.parametrize("number", [1, 4])
def test_a_wrong_count_is_found_and_the_right_one_said(dataset, number):
    table = pd.read_csv(dataset / "videos.csv")
    table.loc[number - 1, "cards_counted"] += 10
    table.to_csv(dataset / "videos.csv", index=False)
    (one,) = wrong(dataset)
    assert (one.recording, one.frame, one.unit) == (f"packet_{number:02d}", None, "cards")
    assert one.off == pytest.approx(10, abs=1.5)


def test_one_recording_alone_has_its_count_checked_too(dataset):
    table = pd.read_csv(dataset / "videos.csv")[4:5]
    table.to_csv(dataset / "videos.csv", index=False)
    strangers = wrong(dataset)
    assert {one.what for one in strangers} == {"label of a recording that videos.csv does not list"}
    table["cards_counted"] = 15
    table.to_csv(dataset / "videos.csv", index=False)
    (one,) = (one for one in wrong(dataset) if one.unit == "cards")
    assert one.off == pytest.approx(10, abs=1.5)


def add_copy(dataset, write_video, codec="MJPG"):
    """packet_02 under another name, compressed anew, lighter, with its labels."""
    pictures = [
        np.clip(picture * 1.1 + 5, 0, 255).astype(np.uint8)
        for _, picture in sampled_frames(dataset / "videos" / "packet_02.mp4", 1)
        if picture is not None
    ]
    write_video(dataset / "videos" / "again.avi", pictures, codec)
    with (dataset / "videos.csv").open("a") as file:
        file.write("again.avi,2,52\n")
    lines = (dataset / "annotations.csv").read_text().splitlines()
    more = [line.replace("packet_02", "again") for line in lines if line.startswith("packet_02")]
    (dataset / "annotations.csv").write_text("\n".join([*lines, *more]) + "\n")


def test_a_copied_recording_is_found(dataset, write_video):
    add_copy(dataset, write_video)
    found = {(one.recording, one.what) for one in wrong(dataset)}
    assert found == {
        ("again", "nearly the same pictures as packet_02"),
        ("packet_02", "nearly the same pictures as again"),
    }


def test_frames_and_labels_that_lack_each_other_are_found(dataset):
    lines = (dataset / "annotations.csv").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("packet_03")]
    lines = [line for line in lines if not line.startswith("packet_04_frame_20,")]
    lost = next(line for line in lines if line.startswith("packet_05_frame_60,"))
    lines.append(lost.replace("_60,", "_300,"))
    (dataset / "annotations.csv").write_text("\n".join(lines) + "\n")
    found = {(one.recording, one.frame, one.what, one.off, one.level) for one in findings(dataset)}
    without = "frames without a label"
    assert found == {
        ("packet_03", None, "no labels", None, WRONG),
        ("packet_03", None, without, 7, INFO),
        ("packet_04", None, without, 1, INFO),
        ("packet_05", 300, "label without a frame", None, WRONG),
    }


def test_rows_that_say_nothing_are_no_labels_and_unknown_corners_no_hidden_ones(dataset):
    path = dataset / "annotations.csv"
    frames, points, visible, _ = read_annotations(path)
    mask = np.ones_like(visible)
    mask[frames.index("packet_04_frame_20")] = False
    # A corner of the back that is in the picture, and which nobody has looked at.
    mask[frames.index("packet_05_frame_20"), LR_BACK] = False
    write_annotations(path, frames, points, visible & mask, mask)
    found = {(one.recording, one.what, one.off, one.level) for one in findings(dataset)}
    assert found == {("packet_04", "frames without a label", 1, INFO)}


def test_pictures_of_several_sizes_are_worth_knowing(small_dataset):
    cv2.imwrite(str(small_dataset / "videos/shots/shot_10.png"), np.zeros((64, 48, 3), np.uint8))
    one = next(one for one in findings(small_dataset, 7) if "sizes" in one.what)
    assert (one.recording, one.level) == ("shots", INFO)
    assert one.what == "pictures of several sizes: 48 x 64, 64 x 48"


def test_the_size_of_the_pictures_does_not_matter(single, spoil):
    """Labels are fractions: of pictures twice as large they mean twice as many pixels."""

    def change(points, visible):
        points[LL_BACK] += [12 / 640, -9 / 480]
        return points, visible

    frame, _ = spoil(change)
    (single / "videos" / "packet_06").mkdir()
    for index, picture in sampled_frames(single / "videos" / "packet_06.mp4", 5):
        if picture is not None:
            large = cv2.resize(picture, (1280, 960))
            cv2.imwrite(str(single / "videos" / "packet_06" / f"{index}.jpg"), large)
    table = (single / "videos.csv").read_text().replace(".mp4", "")
    (single / "videos.csv").write_text(table)
    (one,) = wrong(single)
    assert (one.name, one.corner) == (frame, "lower_left_back")
    assert one.off == pytest.approx(30, abs=4)


def test_the_sheet_shows_the_label_and_where_it_belongs(single, spoil):
    def change(points, visible):
        points[LL_BACK] += [40 / 640, -30 / 480]
        return points, visible

    _, before = spoil(change)
    found = wrong(single)
    picture = worst_pictures(single, found, 5)
    assert picture.shape == (390, 480, 3)  # one picture, 480 wide, and its caption
    x, y = (before[LL_BACK] * 0.75).astype(int)
    red = (picture[y - 4 : y + 5, x - 4 : x + 5].astype(int) @ [-1, -1, 2]).max()
    assert red > 150
    assert worst_pictures(single, [], 5) is None


# The command.


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main.main(["check", *map(str, arguments)])
        return end.value.code, *capsys.readouterr()

    return run


def test_the_command_says_that_nothing_is_wrong(single, run):
    status, out, _ = run(single)
    assert (status, out) == (0, "nothing looks wrong\n")


def test_the_command_finds_a_data_set_by_its_name(single, run, monkeypatch, spoil, tmp_path):
    frame, _ = spoil(lambda points, visible: (points[list(FLIP)], visible[list(FLIP)]))
    (tmp_path / "data").mkdir()
    single.rename(tmp_path / "data" / "mine")
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("mine", "--csv", "found.csv", "--sheet", "worst.png")
    assert status == 1
    assert "left and right exchanged" in out
    assert out.endswith("1 thing looks wrong\n")
    (row,) = csv.DictReader((tmp_path / "found.csv").open())
    assert (row["frame"], row["level"]) == (frame, "wrong")
    assert cv2.imread("worst.png") is not None
    status, out, _ = run("mine", "--csv", "-")
    assert status == 1
    assert out == (tmp_path / "found.csv").read_text()


def test_what_cannot_be_read_is_named_and_the_rest_checked(single, run, spoil):
    spoil(lambda points, visible: (points[list(FLIP)], visible[list(FLIP)]))
    (single / "videos" / "packet_01.mp4").write_bytes(b"no video")
    with (single / "videos.csv").open("a") as file:
        file.write("packet_01.mp4,1,52\n")
    status, out, err = run(single)
    assert status == 2
    assert err.count("error: ") == 1
    assert "packet_01.mp4: cannot be opened as a video" in err
    assert "left and right exchanged" in out


def test_what_is_not_there_is_said_in_a_line(run, dataset):
    status, out, err = run("nowhere")
    assert (status, out) == (2, "")
    assert err == "error: nowhere: there is no such folder, neither here nor in data/\n"
    (dataset / "videos.csv").unlink()
    status, _, err = run(dataset)
    assert status == 2
    assert "videos.csv: cannot be read" in err


def test_nothing_is_written_over_the_data_set(run, single):
    before = (single / "annotations.csv").read_bytes()
    status, _, err = run(single, "--csv", single / "annotations.csv")
    assert status == 2
    assert "would be overwritten" in err
    assert (single / "annotations.csv").read_bytes() == before


NOT_OURS = "is there already and not written by cardpose; name another, or add --force"


@pytest.mark.parametrize(("option", "name"), [("--csv", "o.csv"), ("--sheet", "o.png")])
def test_check_keeps_what_another_program_wrote(run, single, spoil, monkeypatch, option, name):
    spoil(lambda points, visible: (points[list(FLIP)], visible[list(FLIP)]))
    monkeypatch.chdir(single.parent)
    content = cv2.imencode(".png", np.zeros((9, 9, 3)))[1].tobytes()
    (single.parent / name).write_bytes(content)
    status, out, err = run(single, option, name)
    assert (status, out, err) == (2, "", f"error: {name}: {NOT_OURS}\n")
    assert (single.parent / name).read_bytes() == content
    assert run(single, option, name, "--force")[0] == 1
    assert (single.parent / name).read_bytes() != content
    assert run(single, option, name)[::2] == (1, "")
    if option == "--sheet":
        assert cv2.imread(name).shape[1] == 480


# The box.


def test_a_corner_off_strains_the_box_most():
    points, visible = seen(range(-140, -40, 10), 9.0)
    points[3, UR_BACK] += [9, -12]
    boxes = LabelFitter(FOCAL, CARD, 52)
    alone = boxes.fit_alone(points, visible)
    box = boxes.fit_box(points, visible, alone, np.arange(10) != 3)
    fit = boxes.fit_cameras(box, points, visible, alone)
    assert np.delete(fit.worst, 3).max() < 0.5
    assert fit.strain[3].argmax() == UR_BACK
    assert 5 < fit.worst[3] <= 15


@pytest.mark.parametrize(
    ("card", "error", "said"),
    [
        (0.3, 0.2, []),
        (0.32, 0.2, []),  # within a tenth
        (0.36, 0.2, ["cards look 0.30 mm thick, geometry.card in params.yaml says 0.36"]),
        (0.25, 0.2, ["cards look 0.30 mm thick, geometry.card in params.yaml says 0.25"]),
        (0.36, 3.0, []),  # which boxes as vague as these cannot tell
    ],
)
def test_a_deck_of_another_thickness_than_the_parameter_says_is_worth_knowing(card, error, said):
    # A count that is wrong, and a packet that is loose, do not change what most say.
    thick = [(10, 3.0), (20, 6.0), (25, 7.5), (30, 9.0), (40, 12.0), (50, 9.0), (15, 6.0)]
    thick = [MeasuredPacket("", n, mm, error) for n, mm in thick]
    found = deck_findings(thick, card)
    assert [one.what for one in found] == said
    assert all(one.level == INFO and one.frame is None for one in found)


def test_how_far_off_a_thickness_may_be_is_how_far_off_it_is():
    points, visible = seen(range(-140, -40, 12), 9.0, lean=(1.0, 0.5))
    boxes, rng = LabelFitter(FOCAL, CARD, 52), np.random.default_rng(0)
    off, said = [], []
    for _ in range(20):
        noisy = points + rng.normal(0, 1, points.shape)
        alone = boxes.fit_alone(noisy, visible)
        box = boxes.fit_box(noisy, visible, alone, np.ones(len(points), bool))
        off.append(box.thickness - 9)
        said.append(thickness_error(boxes.fit_cameras(box, noisy, visible, alone), 1.0))
    # Of twenty, the spread is known to a sixth; a factor of 1.8 is more than three times that.
    assert np.sqrt(np.mean(np.square(off))) == pytest.approx(np.mean(said), rel=0.8)
