"""params.yaml: what is accepted, and how each mistake is named."""

from pathlib import Path

import pytest
import yaml

from cardpose.errors import InputError
from cardpose.params import load_params

ORIGINAL = Path(__file__).resolve().parents[1] / "params.yaml"


def write(folder, changes):
    """The repository's params.yaml with {dotted name: value} changed; None removes the name."""
    values = yaml.safe_load(ORIGINAL.read_text())
    for name, value in changes.items():
        *sections, last = name.split(".")
        section = values
        for part in sections:
            section = section[part]
        if value is None:
            del section[last]
        else:
            section[last] = value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_the_repositorys_own_file_is_valid():
    params, values = load_params(ORIGINAL), yaml.safe_load(ORIGINAL.read_text())
    assert params.model_dump(by_alias=True) == values


def test_whole_numbers_do_for_numbers(tmp_path):
    params = load_params(write(tmp_path, {"sigma": 3, "split.validation": 0, "loss.cards": 7}))
    assert (params.sigma, params.split.validation, params.loss.cards) == (3.0, 0.0, 7.0)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_byte_order_mark_and_windows_line_ends_are_harmless(tmp_path, start, ends):
    text = start + ORIGINAL.read_text().replace("\n", ends)
    (tmp_path / "params.yaml").write_bytes(text.encode())
    assert load_params(tmp_path / "params.yaml") == load_params(ORIGINAL)


BAD = [
    # what, the change, words of the message besides the parameter's name
    ("unknown name", {"momentum": 0.9}, "momentum: no such parameter"),
    ("unknown nested name", {"train.momentum": 0.9}, "train.momentum: no such parameter"),
    ("missing name", {"seed": None}, "seed: missing"),
    ("missing nested name", {"split.folds": None}, "split.folds: missing"),
    ("missing section", {"loss": None}, "loss: missing"),
    ("section as a list", {"train": [1, 2]}, "train: "),
    ("text for a number", {"sigma": "wide"}, "sigma: should be a valid number (got 'wide')"),
    ("text for an integer", {"seed": "0"}, "seed: should be a valid integer (got '0')"),
    ("float for an integer", {"frame_step": 20.0}, "frame_step: should be a valid integer"),
    ("true for a number", {"sigma": True}, "sigma: should be a valid number (got True)"),
    ("true for an integer", {"seed": True}, "seed: should be a valid integer (got True)"),
    ("number for yes or no", {"train.augment": 1}, "train.augment: "),
    ("number for text", {"dataset": 3}, "dataset: should be a valid string (got 3)"),
    ("text for a list", {"split.test_videos": "A"}, "split.test_videos: "),
    ("number for a video", {"split.test_videos": [7]}, "split.test_videos.0: "),
    ("sigma 0", {"sigma": 0}, "sigma: should be greater than or equal to 0.5 (got 0)"),
    ("sigma negative", {"sigma": -1.5}, "(got -1.5)"),
    ("sigma not a number", {"sigma": float("nan")}, "sigma: "),
    ("sigma infinite", {"sigma": float("inf")}, "sigma: "),
    ("weight not a number", {"loss.cards": float("nan")}, "loss.cards: "),
    ("weight infinite", {"loss.heatmaps": float("inf")}, "loss.heatmaps: "),
    ("weight negative", {"loss.visibility": -1}, "loss.visibility: "),
    ("learning rate not a number", {"train.learning_rate": float("nan")}, "train.learning_rate: "),
    ("learning rate 0", {"train.learning_rate": 0}, "greater than 0"),
    ("step 0", {"frame_step": 0}, "frame_step: should be greater than 0 (got 0)"),
    ("stride 3", {"heatmap_stride": 3}, "heatmap_stride: should be 2, 4 or 8 (got 3)"),
    ("odd width", {"image_size": [321, 240]}, "image_size: width should be a multiple of"),
    ("odd height", {"image_size": [320, 241]}, "image_size: height should be a multiple of"),
    ("size of one number", {"image_size": [320]}, "image_size: "),
    ("size of three numbers", {"image_size": [320, 240, 3]}, "image_size: "),
    ("size as a number", {"image_size": 320}, "image_size: "),
    ("size 0", {"image_size": [320, 0]}, "image_size.1: should be greater than"),
    ("fold past the last", {"split.fold": 5, "split.folds": 5}, "split.fold: should be below"),
    ("fold negative", {"split.fold": -1}, "split.fold: "),
    ("one fold", {"split.folds": 1}, "split.folds: should be greater than or equal to 2"),
    ("too much validation", {"split.validation": 0.9}, "split.validation: "),
    ("unknown way to split", {"split.by": "packet"}, "should be 'video' or 'frame'"),
    ("dataset above data/", {"dataset": "../x"}, "(got '../x')"),
    ("dataset with a folder", {"dataset": "a/b"}, "dataset: "),
    ("dataset of two lines", {"dataset": "a\nb"}, "dataset: "),
    ("unknown precision", {"train.precision": "fp8"}, "should be 'auto', '32-true' or"),
    ("batch of one", {"train.batch_size": 1}, "train.batch_size: "),
    ("layer of no channels", {"model.widths": [16, 0, 32]}, "model.widths.1: "),
    ("more packets than cards", {"synthetic.videos": 53}, "less than or equal to 52 (got 53)"),
]


@pytest.mark.parametrize(("changes", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_parameter_is_named(tmp_path, complains, changes, words):
    path = write(tmp_path, changes)
    with complains(f"{path}: ", next(iter(changes)), words):
        load_params(path)


def test_a_message_quotes_no_mangled_pattern(tmp_path):
    path = write(tmp_path, {"dataset": "../x"})
    with pytest.raises(InputError) as caught:
        load_params(path)
    assert "a-za-z" not in str(caught.value)


NOT_PARAMETERS = [
    # what, the file's bytes, words of the message
    ("empty file", b"", "should hold"),
    ("comments only", b"# nothing\n", "should hold"),
    ("a list", b"- seed\n", "should hold"),
    ("plain text", b"hello\n", "should hold"),
    ("open bracket", b"image_size: [320,\n", "no valid YAML"),
    ("two colons", b"seed: 0: 1\n", "no valid YAML"),
    ("tab", b"\tseed: 0\n", "no valid YAML"),
    ("two documents", b"seed: 0\n---\nseed: 1\n", "no valid YAML"),
    ("zero byte", b"seed: 0\0\n", "no valid YAML"),
    ("a number as a name", b"1: 2\n", "names of parameters should be text"),
    ("impossible date", b"seed: 2020-13-45\n", "params.yaml: "),
    ("no UTF-8", b"# caf\xe9\nseed: 0\n", "params.yaml: "),
]


@pytest.mark.parametrize(
    ("content", "words"), [n[1:] for n in NOT_PARAMETERS], ids=[n[0] for n in NOT_PARAMETERS]
)
def test_a_file_that_holds_no_parameters_is_an_error(tmp_path, complains, content, words):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with complains(str(path), words):
        load_params(path)


def test_a_missing_file_and_a_folder_are_errors(tmp_path, complains):
    with complains("nowhere.yaml: cannot be read (No such file"):
        load_params(tmp_path / "nowhere.yaml")
    with complains(f"{tmp_path}: cannot be read"):
        load_params(tmp_path)
