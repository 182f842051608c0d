"""params.yaml: what is accepted, and how mistakes are reported."""

import shlex
import shutil
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import dumps_yaml, loads_yaml

from cardpose.common.errors import InputError
from cardpose.common.yaml_files import read_yaml
from cardpose.params import load_params

ORIGINAL = Path(__file__).resolve().parents[1] / "params.yaml"


def write(folder, changes):
    """Write the repository's params.yaml with {dotted name: value} changed; None removes a name."""
    values = loads_yaml(ORIGINAL.read_text())
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
    path.write_text(dumps_yaml(values))
    return path


def test_the_params_file_of_the_repository_is_valid():
    params, values = load_params(ORIGINAL), loads_yaml(ORIGINAL.read_text())
    assert params.model_dump(by_alias=True, exclude_unset=True) == values


def test_whole_numbers_are_accepted_as_floats(tmp_path):
    params = load_params(write(tmp_path, {"sigma": 3, "split.validation": 0, "loss.cards": 7}))
    assert (params.sigma, params.split.validation, params.loss.cards) == (3.0, 0.0, 7.0)


def test_a_params_yaml_from_before_there_were_certificates_is_still_good(tmp_path):
    path = write(tmp_path, {"machine.dask_tls": None})
    assert "dask_tls" not in path.read_text()
    assert load_params(path).machine.dask_tls is None


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path, start, ends):
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
    (
        "number for yes or no",
        {"train.augment": 1},
        "boolean, true or false (got 1)",
    ),
    ("yes for true", {"train.augment": "yes"}, "true or false (got 'yes')"),
    ("off for false", {"unlabelled": "off"}, "boolean, true or false (got 'off')"),
    ("number for text", {"dataset": 3}, "dataset: should be a valid string (got 3)"),
    ("yes for text", {"dataset": True}, "dataset: should be a valid string (got True)"),
    ("a number with underscores", {"seed": "1_000"}, "seed: should be a valid integer (got '1_0"),
    ("certificates in a text", {"machine.dask_tls": "ca.pem"}, "machine.dask_tls: "),
    ("a certificate left out", {"machine.dask_tls": {"ca": "a"}}, "dask_tls.certificate: missing"),
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
    (
        "width for half-size epochs",
        {"image_size": [324, 240]},
        "multiple of 8, twice heatmap_stride",
    ),
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
def test_a_bad_parameter_is_reported_by_name(tmp_path, complains, changes, words):
    path = write(tmp_path, changes)
    with complains(f"{path}: ", next(iter(changes)), words):
        load_params(path)


@pytest.mark.parametrize("name", ["split.fold", "seed", "split.test_videos", "dataset", "sigma"])
@pytest.mark.parametrize(
    "value", ["0x" + "f" * 400, "9" * 400, "x" * 10**5, "[1, 0x" + "f" * 400 + "]"]
)
def test_a_value_without_end_is_shortened(tmp_path, name, value):
    text = write(tmp_path, {name: "put here"}).read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("put here", value))
    with pytest.raises(InputError) as caught:
        load_params(path)
    assert str(caught.value).startswith(f"{path}: {name}")
    assert len(str(caught.value)) < len(str(path)) + 300


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_long_number_for_a_name_is_to_be_quoted(tmp_path, number):
    path = write(tmp_path, {"split.test_videos": [1, number]})
    with pytest.raises(InputError, match=r"split.test_videos.0: .* put the name in quotes$"):
        load_params(path)


def test_messages_do_not_quote_patterns(tmp_path):
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
    ("a date by a tag", b"seed: !!timestamp 2020-13-45\n", "no valid YAML"),
    ("a number by a tag", b"seed: !!int ''\n", "no valid YAML"),
    ("a number without end", b"seed: " + b"9" * 5000, "no valid YAML"),
    ("a hexadecimal one", b"seed: 0x" + b"f" * 5000, "no valid YAML"),
    ("a name twice", b"seed: 0\nsigma: 1\nseed: 1\n", "line 3: 'seed' is there twice"),
    ("a name twice in a list", b"a: [{b: 1, b: 2}]\n", "line 1: 'b' is there twice"),
    ("a list in itself", b"a: &a [*a]\n", "params.yaml: "),
    ("a name nobody gave", b"a: *b\n", "no valid YAML: line 1: "),
    ("names taken from elsewhere", b"a: &a {seed: 1}\n<<: *a\n", "params.yaml: "),
    ("another document", b"seed: 0\n...\nsigma: 1\n", "no valid YAML: line 3: "),
    ("nested too deeply", b"a: " + b"[" * 9999, "nested too deeply"),
    ("no UTF-8", b"# caf\xe9\nseed: 0\n", "params.yaml: "),
]


@pytest.mark.parametrize(
    ("content", "words"), [n[1:] for n in NOT_PARAMETERS], ids=[n[0] for n in NOT_PARAMETERS]
)
def test_a_file_without_parameters_is_refused(tmp_path, complains, content, words):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with complains(str(path), words):
        load_params(path)


def test_a_missing_file_and_a_folder_are_reported(tmp_path, complains):
    with complains("nowhere.yaml: cannot be read (No such file"):
        load_params(tmp_path / "nowhere.yaml")
    with complains(f"{tmp_path}: cannot be read"):
        load_params(tmp_path)


# What follows a name in the file, and what YAML 1.2's core schema says of it.
PLAIN = [
    ("1e-5", 1e-5),
    ("1E5", 1e5),
    (".5", 0.5),
    ("5.", 5.0),
    ("-.5e+3", -500.0),
    ("+7", 7),
    ("017", 17),
    ("0o17", 15),
    ("0x1f", 31),
    (".inf", float("inf")),
    ("true", True),
    ("FALSE", False),
    ("~", None),
    ("", None),
    ("null", None),
    ("'1'", "1"),
    *((text, text) for text in ("yes", "no", "on", "off", "Y", "0b11", "-0x1f", "1_000", "1_0.5")),
    *((text, text) for text in ("12:30", "12:30:45", "12:30:45.5", "2026-01-01", "=", "<<")),
    *((text, text) for text in ("20260101_101112", "2026_01", "_1", "0x", ".", "e5", "inf", "nan")),
]


@pytest.mark.parametrize(("text", "value"), PLAIN)
def test_values_follow_the_core_schema(tmp_path, text, value):
    (tmp_path / "file.yaml").write_text(f"value: {text}\nlist: [{text}]\n")
    found = read_yaml(tmp_path / "file.yaml")
    assert found == {"value": value, "list": [value] if text else []}
    assert type(found["value"]) is type(value)


def test_equal_keys_of_different_mappings_are_accepted(tmp_path):
    (tmp_path / "file.yaml").write_text("a: {b: 1}\nc: {b: 2}\nd: &d {b: 3}\ne: *d\n")
    found = read_yaml(tmp_path / "file.yaml")
    assert found == {"a": {"b": 1}, "c": {"b": 2}, "d": {"b": 3}, "e": {"b": 3}}


class Project:
    """A folder with params.yaml, and with recordings in data/mine, data/2026_01 and data/2026."""

    def __init__(self, folder):
        self.path = folder / "params.yaml"
        for name in ("mine", "2026_01", "2026"):
            (folder / "data" / name / "videos").mkdir(parents=True)
            for video in ("20260101_101112.mp4", "7.mov", "shots"):
                (folder / "data" / name / "videos" / video).touch()

    def set(self, *settings):
        """Return the parameters after `dvc exp run -S ...` has written them."""
        shutil.copy(ORIGINAL, self.path)
        apply_overrides(self.path, list(settings))
        return load_params(self.path)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_numbers_that_dvc_writes_are_read(project):
    assert project.set("train.weight_decay=1e-5").train.weight_decay == 1e-5
    assert project.set("train.learning_rate=1E-4").train.learning_rate == 1e-4
    assert project.set("pretrain.weight_decay=1_0.0e-6").pretrain.weight_decay == 1e-5
    assert project.set("sigma=1e1", "seed=1_000").seed == 1000


@pytest.mark.parametrize("name", ["2026_01", "20260101", "1e5", "0o17", "2026-01-01", "1_0.5"])
def test_a_quoted_name_stays_a_name(project, name):
    assert project.set(f"dataset='{name}'").dataset == name
    assert project.set(f"split.test_videos=['{name}',b]").split.test_videos == [name, "b"]


@pytest.mark.parametrize(
    "settings",
    [
        ["dataset=2026_01"],
        ["dataset=2026"],
        ["dataset=mine", "split.test_videos=[20260101_101112]"],
        ["dataset=mine", "split.test_videos=[7]"],
        ["dataset=mine", "split.test_videos=[shots,20260101_101112,7]"],
        ["dataset='2026_01'", "split.test_videos=['7',20260101_101112]"],
    ],
    ids=" ".join,
)
def test_the_advice_about_quotes_works_when_typed(project, settings):
    with pytest.raises(InputError) as caught:
        project.set(*settings)
    assert "should be a valid string" in str(caught.value)
    advice = str(caught.value).partition("with DVC so: ")[2]
    option, setting = shlex.split(advice)
    assert option == "-S"
    params = project.set(*settings[:-1], setting)
    meant = settings[-1].partition("=")[2].replace("'", "").strip("[]").split(",")
    assert meant in (params.split.test_videos, [params.dataset])


def test_a_number_without_a_matching_name_is_quoted_unchanged(project, complains):
    with complains("(got 12)", """-S "dataset='12'\""""):
        project.set("dataset=12")
    with complains("(got None)"):
        project.set("dataset=null")


def test_all_three_certificates_are_read(project):
    setting = "machine.dask_tls={ca: a/ca.pem, certificate: b.pem, key: ./c}"
    certificates = project.set(setting).machine.dask_tls
    assert certificates.model_dump() == {"ca": "a/ca.pem", "certificate": "b.pem", "key": "./c"}
