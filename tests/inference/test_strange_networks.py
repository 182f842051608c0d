"""ONNX files that no export wrote: refused in one line, in bounded time and memory."""

import json
import os
import subprocess
import sys
import threading

import numpy as np
import onnx.parser
import pytest
from support import REPOSITORY, STAND_IN

from cardpose.inference import backends, onnx_file
from cardpose.inference.metadata import read_metadata
from cardpose.inference.predictor import load
from cardpose.network.model import COUNTS

METADATA = {"count": "picture", "image_size": [320, 240], "deck": 52, "focal": 1.06}
METADATA["card"] = [63, 88, 0.3]


def network(*changes, nodes="", constants="", metadata=METADATA):
    """Return the stand-in with changed lines and more nodes and constants, as a message of ONNX."""
    text = STAND_IN.replace("> {\n", f"> {{ {nodes}\n").replace(
        "zero = {0},", f"zero = {{0}}, {constants}"
    )
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    model = onnx.parser.parse_model(text)
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    onnx.helper.set_model_props(model, {"cardpose": text})
    return model


def changed(change):
    """Return the stand-in after `change(model)`."""
    model = network()
    change(model)
    return model


# ONNX Runtime leaves out nodes without effect on an output.
USED = ("high = Add(cards, above)", "most = ReduceMax<keepdims = 0>(q) high = Add(cards, most)")
BODY = "<body = b (int64 i, bool go, float[q] v) => (bool still, float[r] more) {%s}>"
STEP = "still = Identity(go) more = Relu(v)"
DOUBLE = "still = Identity(go) more = Concat<axis = 0>(v, v)"
NESTED = "still = Identity(go) more = Loop(times, go, v) " + BODY.replace("b (", "c (") % STEP


def with_constants(model, **values):
    """Return a model after inserting nodes that return constants."""
    for name, value in values.items():
        tensor = onnx.numpy_helper.from_array(np.array(value))
        model.graph.node.insert(0, onnx.helper.make_node("Constant", [], [name], value=tensor))
    return model


def with_loop(limit, body=STEP, rounds=4):
    """Return the stand-in with a loop of `limit` rounds, where `times` is a constant input."""
    model = network(USED, nodes=f"q = Loop({limit}, yes, ten)" + BODY % body)
    return with_constants(model, times=rounds, yes=True)


def divided(divisor, operator="Div", nodes=""):
    """Return the stand-in with a division of the smallest integer."""
    nodes += f"k = {operator}(least, {divisor}) q = Cast<to = 1>(k)"
    model = network(USED, nodes=nodes, constants="int64 least = {-9223372036854775808},")
    return with_constants(model, couple=2**62, minus=-1, none=0)


def huge_constant(model):
    tensor = model.graph.initializer.add(name="huge", data_type=1, dims=[2**20, 2**10])
    tensor.raw_data = bytes(8)


def other_file(model):
    tensor = model.graph.initializer.add(name="huge", data_type=1, dims=[2], data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")


@pytest.fixture
def refused(complains, tmp_path):
    """refused(model, *words): loading a model, or bytes, raises one line with the words."""

    def check(model, *words):
        path = tmp_path / "strange.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        with complains(f"{path}: ", *words):
            load(path)

    return check


# The file


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (network(nodes="q = Erf(ten)"), "operator 'Erf'"),
        (network(nodes="q = Scan(ten)" + BODY % STEP), "operator 'Scan'"),
        (network(nodes="q = com.microsoft.Add(ten, ten)"), "another library"),
        (network(('"": 18', '"": 18, "a.b": 1')), "another library"),
        (network(nodes="q = Relu(ten)" + BODY % STEP), "a graph in Relu"),
        (with_loop(""), "a loop"),
        (with_loop("one"), "a loop"),
        (with_loop("times", rounds=101), "more than 100 rounds"),
        (with_loop("times", rounds=-1), "more than 100 rounds"),
        (with_loop("times", rounds=2**62), "more than 100 rounds"),
        (with_loop("times", NESTED), "a loop inside a loop"),
        (divided("minus"), "division of integers"),
        (divided("minus", "Mod"), "division of integers"),
        (divided("none"), "division of integers"),
        (divided("n1"), "division of integers"),
        (divided("least"), "division of integers"),
        (divided("d", nodes="d = Cast<to = 7>(ten) "), "division of integers"),
        (
            with_loop("times", "still = Identity(go) a = Mod(i, i) more = Relu(v)"),
            "division of integers",
        ),
        (with_constants(with_loop("times"), times=2**62), "two values of one name"),
        (changed(huge_constant), "numbers are not in the file"),
        (changed(other_file), "a field 13"),
        (changed(lambda model: model.functions.add(name="f")), "a field 25"),
        (changed(lambda model: model.graph.initializer.add(data_type=8)), "type 8"),
        (changed(lambda model: model.ClearField("metadata_props")), "no metadata"),
    ],
)
def test_what_no_export_writes_is_refused(refused, monkeypatch, model, word):
    monkeypatch.setattr(backends, "_make_session", None)  # nothing is left to ONNX Runtime
    refused(model, "should be a network that cardpose exported, but it has", word)


@pytest.mark.parametrize(
    "model", [with_loop("times", rounds=100), divided("couple"), divided("couple", "Mod")]
)
def test_a_short_loop_and_a_division_by_a_constant_are_accepted(tmp_path, model):
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    assert load(tmp_path / "a.onnx").metadata["deck"] == 52


@pytest.mark.parametrize(
    ("limit", "value", "word"),
    [("_MOST_NODES", 35, "35 nodes"), ("_MOST_FIELDS", 200, "200 fields")],
)
def test_the_size_of_a_graph_is_limited(refused, monkeypatch, limit, value, word):
    monkeypatch.setattr(onnx_file, limit, value)
    refused(network(), word)


def test_a_huge_file_is_not_read(complains, tmp_path):
    with (tmp_path / "a.onnx").open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with complains(f"{tmp_path / 'a.onnx'}: ", "more than 256 MB"):
        load(tmp_path / "a.onnx")


def test_cut_and_changed_files_are_read_or_refused():
    content = network().SerializeToString()
    with pytest.raises(ValueError, match="damaged"):
        onnx_file.check_onnx(content[:-1])
    rng = np.random.default_rng(0)
    places = range(0, len(content), 7)
    damaged = [content[:at] for at in places]
    for at in places:
        other = bytearray(content)
        other[at] ^= 1 << rng.integers(8)
        damaged.append(bytes(other))
    for each in damaged:
        try:
            read_metadata(onnx_file.check_onnx(each))
        except ValueError as error:
            assert str(error).isprintable()  # noqa: PT017


# Its metadata


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"count": "all"}, "count"),
        ({"count": ["both"]}, "count"),
        ({"image_size": [320]}, "image_size"),
        ({"image_size": [320, 1e999]}, "damaged"),
        ({"image_size": [320, 31]}, "image_size"),
        ({"image_size": [320.0, 240.0]}, "image_size"),
        ({"image_size": "320"}, "image_size"),
        ({"deck": 0}, "deck"),
        ({"deck": True}, "deck"),
        ({"deck": 10**400}, "deck"),
        ({"focal": "1"}, "focal"),
        ({"focal": -1.06}, "focal"),
        ({"card": [88, 63, 0.3]}, "card"),
        ({"card": [63, 88]}, "card"),
        ({"card": [63, 88, 0]}, "card"),
        ({"card": [63, 88, float("nan")]}, "damaged"),
        ({"card": {}}, "card"),
    ],
)
def test_impossible_metadata_is_refused(refused, change, name):
    refused(network(metadata={**METADATA, **change}), "its metadata", name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 100_000,
        '{"deck": ' + "9" * 10_000 + "}",
        '{"focal": 1e999}',
        "é\x00",
    ],
)
def test_damaged_metadata_is_refused(refused, text):
    refused(network(metadata=text), "its metadata")


def test_metadata_that_is_no_text_is_refused(refused):
    content = network(metadata={"no": 1}).SerializeToString()
    refused(content.replace(b'{"no"', b'\xff"no"'), "its metadata is damaged")


def test_endless_metadata_is_refused():
    with pytest.raises(ValueError, match="more than 1000000 bytes"):
        read_metadata(json.dumps({**METADATA, "more": "a" * 1_000_000}).encode())


@pytest.mark.parametrize("count", COUNTS)
def test_all_ways_of_counting_are_accepted(count):
    metadata = {**METADATA, "count": count}
    assert read_metadata(json.dumps(metadata).encode()) == metadata


# Its outputs


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("ten = {10}", "ten = {0}", "cards"),
        ("ten = {10}", "ten = {0.02}", "cards"),  # 6350 cards
        ("half = {0.5}", "half = {1e9}", "keypoints"),
        ("0.9, 0.1, 0.1}", "0.9, 0.1, 1.5}", "visibility"),
        ("high_end = {1}", "high_end = {7}", "confidence"),
        ("{0, 1, 2, 3, 4, 5, 6, 7}", "{0, 1, 2, 3, 4, 5, 6, 8}", "corners"),
        ("{0, 1, 2, 3, 4, 5, 6, 7}", "{-1, 1, 2, 3, 4, 5, 6, 7}", "corners"),
        ("{1, 0, 0, 0, 1, 0, 0, 0, 1}", "{9, 0, 0, 0, 1, 0, 0, 0, 1}", "rotation"),
        ("above = {2}", "above = {1e38}", "high"),
        ("pose = {0, 0, 200,", "pose = {0, 0, 1e38,", "box"),
    ],
)
def test_impossible_values_are_refused(refused, old, new, word):
    refused(network((old, new)), f"it returns impossible {word}")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (
            "keypoints = Add(rest, found)",
            "k = Add(rest, found) keypoints = Concat<axis = 1>(k, k)",
            "keypoints",
        ),
        (
            "corners = Tile(order, rows)",
            "c = Tile(order, rows) corners = Cast<to = 1>(c)",
            "corners",
        ),
        ("low = Sub(cards, below)", "low = Concat<axis = 0>(cards, cards)", "low"),
    ],
)
def test_outputs_of_another_form_are_refused(refused, old, new, word):
    types = ("float[n, 8, 2] keypoints", "int64[n, 8] corners", "float[n] low")
    kinds = ("float[n, 16, 2] keypoints", "float[n, 8] corners", "float[m] low")
    other = [(a, b) for a, b in zip(types, kinds, strict=True) if a.endswith(word)]
    refused(network((old, new), *other), f"its {word} have the shape")


def test_a_missing_output_is_refused(refused):
    refused(network(("float[n] low, ", "")), "it lacks low")


@pytest.mark.parametrize(("divisor", "cards"), [(2, 52), (-2, 0)])
def test_counts_stay_within_the_deck(tmp_path, divisor, cards):
    path = tmp_path / "a.onnx"
    path.write_bytes(network(("ten = {10}", f"ten = {{{divisor}}}")).SerializeToString())
    result = load(path).predict(np.full((48, 64, 3), 200, np.uint8))  # 100 or -100 cards
    assert (result.cards, result.low, result.high) == (cards, cards, cards)


def test_a_later_picture_is_checked_too(complains, tmp_path):
    changes = (
        "keypoints = Add(rest, found)",
        "k = Add(rest, found) h = Cast<to = 1>(high) keypoints = Div(k, h)",
    )
    (tmp_path / "a.onnx").write_bytes(
        network(changes, ("above = {2}", "above = {0}")).SerializeToString()
    )
    predictor = load(tmp_path / "a.onnx")
    with complains("a.onnx", "impossible keypoints"):
        predictor.predict(np.zeros((48, 64, 3), np.uint8))


# Its time and memory

MEASURE = """
import resource, sys
from cardpose import load
from cardpose.common.errors import InputError

try:
    load(sys.argv[1])
except InputError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def load_apart(path, limits=""):
    """Load a network in another process. Return what it prints, and its most memory in MB."""
    done = subprocess.run(
        ["bash", "-c", f'{limits} exec "$@"', "bash", sys.executable, "-c", MEASURE, str(path)],
        cwd=REPOSITORY,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    *lines, memory = done.stdout.splitlines()
    return "\n".join(lines), int(memory)


CHAIN = "q0 = Expand(ten, many)"
CHAIN += "".join(f" q{i + 1} = Concat<axis = 0>(q{i}, q{i})" for i in range(12))
CHAIN += " q = Relu(q12)"


def huge(nodes, many):
    """Return the stand-in with nodes that make a huge `q`."""
    return network(USED, nodes=nodes, constants=f"int64[1] many = {{{many}}},")


@pytest.mark.parametrize(
    "model",
    [
        huge("q = ConstantOfShape(many)", 10**9),
        huge("k = Mul(n1, many) q = ConstantOfShape(k)", 10**9),
        huge("q = Expand(ten, many)", 10**9),
        huge(CHAIN, 10**6),
        with_loop("times", DOUBLE, rounds=40),
    ],
    ids=["constant", "as many as pictures", "expand", "chain", "loop"],
)
def test_memory_is_limited(tmp_path, model):
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    printed, memory = load_apart(tmp_path / "a.onnx")
    assert printed.startswith(f"{tmp_path / 'a.onnx'}: needs more memory for a picture of 64 x 48")
    assert memory < 2500


def test_time_is_limited(refused, monkeypatch):
    monkeypatch.setattr(backends, "_SECONDS", 1)
    model = with_loop("times", "still = Identity(go) more = Exp(v)", rounds=100)
    (node,) = (each for each in model.graph.node if each.op_type == "Loop")
    node.input[2] = "large"
    place = list(model.graph.node).index(node)
    shape = onnx.numpy_helper.from_array(np.array([10**8]), "wide")
    model.graph.initializer.append(shape)
    large = onnx.helper.make_node("Expand", ["ten", "wide"], ["large"])
    model.graph.node.insert(place, large)
    before = threading.active_count()
    refused(model, "takes more than 1 s for a picture of 64 x 48 pixels")
    assert threading.active_count() == before  # the run has ended
