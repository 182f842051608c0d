"""The reference pages say what the code does."""

import json
import re

import numpy as np
import pytest
from support import REPOSITORY

from cardpose.checking.findings import COLUMNS
from cardpose.cli.inputs import VIDEO_SUFFIXES
from cardpose.cli.records import RECORD_COLUMNS, CsvWriter, picture_record, recording_record
from cardpose.dataset.annotations import LABEL_COLUMNS, read_annotations
from cardpose.dataset.recordings import read_recordings
from cardpose.evaluation import evaluate, report
from cardpose.geometry.keypoints import KEYPOINTS
from cardpose.inference.card_file import read_card
from cardpose.inference.result import RecordingCount, Result
from cardpose.labelling.csv_format import csv_labels
from cardpose.labelling.proposals import read_proposals
from cardpose.pictures.formats import PICTURE_SUFFIXES
from docs.reference.generate import pages
from docs.reference.parameters import comments

REFERENCE = REPOSITORY / "docs/reference"
FILES = (REFERENCE / "files.md").read_text(encoding="utf-8")


def test_the_generated_pages_are_up_to_date():
    for page, content in pages().items():
        assert page.read_text(encoding="utf-8") == content, (
            f"{page.name} is old: python -m docs.reference.generate writes it"
        )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1 # one", {"a": "one"}),
        ("a:\n  b: 1 # one\nc: 2 # two", {"a": "", "a.b": "one", "c": "two"}),
        (
            "# of all\na: # more\n  # b's,\n  # too\n  b: 1",
            {"a": "of all more", "a.b": "b's, too"},
        ),
    ],
)
def test_comments_of_a_yaml_file_are_those_of_its_names(text, found):
    assert comments(text) == found


def section(heading, page=FILES):
    """Return the text of a section of a page."""
    return re.split(r"^## ", page.partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]


def samples(heading):
    """Return the fenced blocks of a section of files.md."""
    found = re.findall(r"^```\w+\n(.*?)^```", section(heading), flags=re.MULTILINE | re.DOTALL)
    assert found
    return found


def documented(heading, page=FILES):
    """Return the names that the table in a section of a page describes, in their order."""
    rows = re.findall(r"^\| (`.*?) \|", section(heading, page), flags=re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def expanded(names):
    """Return names with the keypoints in place of <keypoint>."""
    plain = [name for name in names if "<" not in name]
    parts = [name.replace("<keypoint>", "") for name in names if "<" in name]
    return [*plain, *(keypoint + part for keypoint in KEYPOINTS for part in parts)]


def test_sample_data_sets_are_read(tmp_path):
    (sample,) = samples("videos.csv")
    (tmp_path / "videos.csv").write_text(sample)
    (tmp_path / "videos").mkdir()
    for line in sample.splitlines()[1:]:
        (tmp_path / "videos" / line.partition(",")[0]).touch()
    assert [each.name for each in read_recordings(tmp_path)] == ["green_cloth", "kitchen_2"]
    assert sample.splitlines()[0].split(",") == documented("videos.csv")
    (sample,) = samples("annotations.csv")
    (tmp_path / "annotations.csv").write_text(sample)
    assert read_annotations(tmp_path / "annotations.csv").mask.all()
    assert expanded(documented("annotations.csv")) == ["frame", *LABEL_COLUMNS]


def test_sample_files_of_labelling_are_read(tmp_path):
    proposals, following, labels = samples("Files of cardpose label")
    for name, content in (("proposals.csv", proposals), ("labels.csv", labels)):
        (tmp_path / name).write_text(content)
    assert read_proposals(tmp_path / "proposals.csv").frames == ["packet_01_frame_0"]
    assert csv_labels(tmp_path / "labels.csv").frames == ["packet_01_frame_0"]
    assert following.startswith("frame\n")


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("metrics/predictions.csv", report._COLUMNS),
        ("Findings of cardpose check", COLUMNS),
        ("Records of cardpose predict", RECORD_COLUMNS),
    ],
)
def test_all_columns_are_described(heading, columns):
    assert expanded(documented(heading)) == list(columns)
    assert samples(heading)[0].splitlines()[0].split(",") == list(columns)


def test_sample_records_are_those_of_predict(tmp_path):
    table, lines = samples("Records of cardpose predict")
    records = [json.loads(line) for line in lines.splitlines()]
    with (tmp_path / "found.csv").open("w+") as file:
        writer = CsvWriter(file)
        for record in records:
            writer.write(record)
        file.seek(0)
        assert file.read() == table
    for record in records:
        numbers = [np.float64(record[name]) for name in ("cards", "low", "high")]
        if record["kind"] == "recording":
            lean = (record["lean_short_mm"], record["lean_long_mm"])
            box = (record["thickness_mm"], 0.1, lean, record["twist_mm"], record["covered"])
            count = RecordingCount(*map(float, numbers), record["frames"], *box)
            assert recording_record(record["input"], record["frames"], count) == record
            continue
        places = np.array([[*each.values()] for each in record["keypoints"].values()], np.float32)
        result = Result(
            *map(float, numbers),
            keypoints=places[:, :2],
            visibility=places[:, 2],
            confidence=record["confidence"],
            width=record["width"],
            height=record["height"],
            box_order=np.arange(8),
            contribution=None,
        )
        assert picture_record(record["kind"], record["input"], record["frame"], result) == record


def test_all_formats_are_listed():
    pictures, videos = section("Pictures and videos").split("- videos:")
    assert set(re.findall(r"`(\.\w+)`", pictures)) == PICTURE_SUFFIXES
    assert set(re.findall(r"`(\.\w+)`", videos)) == VIDEO_SUFFIXES


def test_all_metrics_are_described():
    page = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
    headlines = documented("metrics/headline.json", page)
    assert headlines == list(evaluate._HEADLINES)
    described = "|".join([*headlines, *documented("metrics/evaluate.json", page)])
    described = re.sub("<[a-z]+>", r"\\w+", described.replace(".", r"\."))
    for path in (REPOSITORY / "metrics/folds").glob("*.json"):
        for name in json.loads(path.read_text())["mean"]:
            assert re.fullmatch(described, name), name


def test_the_sample_of_a_stored_card_is_read(tmp_path):
    (tmp_path / "cardpose.card.json").write_text(samples("cardpose.card.json")[0])
    assert read_card(tmp_path / "cardpose.onnx") == 0.2931
