"""Check an ONNX file before ONNX Runtime reads it.

Anybody can write an ONNX file. Only what `inference.export` writes is accepted: its operators,
loops with a constant number of rounds, constants whose numbers are in the file, and division of
integers only by positive constants, because the smallest integer divided by -1 kills the process.

The file is a protocol buffer; https://protobuf.dev/programming-guides/encoding describes its bytes,
and https://github.com/onnx/onnx/blob/main/onnx/onnx.proto the fields of its messages. This module
reads them itself, because counting cards does not need the package onnx.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cardpose.common.errors import short_repr

MOST_BYTES = 2**28  # size of a file; the released network has 8 MB
_OPERATORS = """
    Abs Add And ArgMax ArgMin Cast Clip Concat Constant ConstantOfShape Conv Div Equal Exp Expand
    EyeLike Flatten Floor Gather GatherElements Gemm Greater GreaterOrEqual GridSample Identity Less
    Log Loop MatMul Max Min Mod Mul Neg Not Or Pow Range Reciprocal ReduceMax ReduceMean ReduceSum
    Relu Reshape Resize Shape Sigmoid Slice Softmax Split Sqrt Squeeze Sub Tile TopK Transpose
    Unsqueeze Where
"""
# The operators in files of `inference.export`, whatever the parameters of the network.
OPERATORS = frozenset(_OPERATORS.split())
_DIVISIONS = ("Div", "Mod")
_MOST_NODES = 20_000  # the released network has 5,000
_MOST_FIELDS = 500_000  # the released network has 50,000
_MOST_ROUNDS = 100  # of a loop; the released network has 4
_MOST_AXES = 8  # of a constant
_INT8, _INT64, _BOOL = 3, 7, 9
FLOATS = {1, 10, 11}  # float, float16 and double
_TYPES = {_INT8, _INT64, _BOOL, *FLOATS}  # each number takes at least one byte

# Fields that `inference.export` and `onnx.parser` write, by their numbers in onnx.proto.
_MODEL = {
    1: "ir_version",
    2: "producer_name",
    3: "producer_version",
    7: "graph",
    8: "opset_import",
    14: "metadata_props",
}
_GRAPH = {1: "node", 2: "name", 5: "initializer", 11: "input", 12: "output"}
_NODE = {1: "input", 2: "output", 3: "name", 4: "op_type", 5: "attribute", 7: "domain"}
_ATTRIBUTE = {1: "name", 2: "f", 3: "i", 4: "s", 5: "t", 6: "g", 8: "ints", 20: "type"}
_TENSOR = {1: "dims", 2: "data_type", 4: "float_data", 7: "int64_data", 8: "name", 9: "raw_data"}
_OPSET = {1: "domain", 2: "version"}
_PROPERTY = {1: "key", 2: "value"}
_INTEGERS = {"ir_version", "version", "dims", "data_type", "i", "ints", "type"}
# Types of fields on the wire; those in _SIZES have a fixed number of bytes.
_VARINT, _BYTES = 0, 2
_SIZES = {1: 8, 5: 4}
_VARINT_BYTES = 10  # most bytes of one

# {name of a field: its values}: integers, or bytes that are not interpreted yet
_Message = Mapping[str, list[Any]]


def check_onnx(content: bytes) -> bytes:
    """Check that `inference.export` could have written a file.

    Returns:
        metadata of the network, as JSON.

    Raises:
        ValueError: it could not have written the file. The message says why.
    """
    check = _Check()
    model = check.read(memoryview(content), _MODEL)
    for opset in model["opset_import"]:
        _check_domain(check.read(opset, _OPSET))
    for graph in model["graph"]:
        check.graph(graph)
    for entry in model["metadata_props"]:
        pair = check.read(entry, _PROPERTY)
        if pair["key"] == [b"cardpose"] and len(pair["value"]) == 1:
            return bytes(pair["value"][0])
    raise ValueError("it has no metadata")


class _Attribute(NamedTuple):
    """Integers and tensors of an attribute of a node; a file of ours has one of either."""

    integers: list[int]
    tensors: list[_Message]


class _Check:
    """Check the messages of one file. Nodes and fields are counted over the whole file."""

    def __init__(self) -> None:
        self._nodes = self._fields = 0

    def read(self, message: memoryview, names: Mapping[int, str]) -> _Message:
        """Return the fields of a message; refuse those that are not in {number: name}."""
        values = defaultdict(list)
        for number, value in _read_fields(message):
            self._fields += 1
            if self._fields > _MOST_FIELDS:
                raise ValueError(f"it has more than {_MOST_FIELDS} fields")
            name = names.get(number)
            if name is None or isinstance(value, int) != (name in _INTEGERS):
                raise ValueError(f"it has a field {number} beside {', '.join(names.values())}")
            values[name].append(value)
        return values

    def graph(self, content: memoryview, is_body: bool = False) -> None:
        """Check the graph of the network, or that of a loop, which has no loops of its own."""
        graph = self.read(content, _GRAPH)
        self._nodes += len(graph["node"])
        if self._nodes > _MOST_NODES:
            raise ValueError(f"it has more than {_MOST_NODES} nodes")
        tensors = [self.tensor(content) for content in graph["initializer"]]
        names = [bytes(name) for tensor in tensors for name in tensor["name"]]
        constants: dict[bytes, int] = {}
        divisors = {
            bytes(t["name"][-1]) for t in tensors if t["name"] and _is_float(t["data_type"])
        }
        for content in graph["node"]:
            node = self.read(content, _NODE)
            operator = b"".join(node["op_type"]).decode(errors="replace")
            if operator not in OPERATORS:
                raise ValueError(f"it has an operator {short_repr(operator)}")
            _check_domain(node)
            if operator == "Loop":
                _check_rounds(node, constants, is_body)
            if operator in _DIVISIONS and not divisors.issuperset(map(bytes, node["input"][1:])):
                raise ValueError(
                    "it has a division of integers by no positive constant; export it again"
                )
            attributes = [self.attribute(content, operator) for content in node["attribute"]]
            outputs = [bytes(name) for name in node["output"] if name]
            names += outputs
            if len(attributes) == 1:
                if operator == "Constant":
                    constants.update(dict.fromkeys(outputs, _single_integer(attributes[0])))
                if _makes_divisor(operator, attributes[0]):
                    divisors.update(outputs)
        if len(set(names)) < len(names):  # ONNX Runtime may take another value than this check
            raise ValueError("it has two values of one name")

    def attribute(self, content: memoryview, operator: str) -> _Attribute:
        """Check an attribute of a node; return its integers and tensors."""
        attribute = self.read(content, _ATTRIBUTE)
        if attribute["g"] and operator != "Loop":
            raise ValueError(f"it has a graph in {operator}")
        for graph in attribute["g"]:
            self.graph(graph, is_body=True)
        return _Attribute(attribute["i"], [self.tensor(tensor) for tensor in attribute["t"]])

    def tensor(self, content: memoryview) -> _Message:
        """Check the type of a constant, and that the file has all its numbers."""
        tensor = self.read(content, _TENSOR)
        if not _TYPES.issuperset(tensor["data_type"]):
            raise ValueError(f"it has a constant of type {tensor['data_type'][-1]}")
        if len(tensor["dims"]) > _MOST_AXES or math.prod(tensor["dims"]) > len(content):
            raise ValueError("it has a constant whose numbers are not in the file")
        return tensor


def _check_domain(message: _Message) -> None:
    """Refuse operators of other libraries. The domain of ONNX itself has an empty name."""
    if any(message["domain"]):
        raise ValueError("it has operators of another library")


def _check_rounds(loop: _Message, constants: Mapping[bytes, int], is_body: bool) -> None:
    """Refuse a loop without a small constant number of rounds, or inside another one."""
    if is_body:
        raise ValueError("it has a loop inside a loop")
    rounds = constants.get(bytes(loop["input"][0])) if loop["input"] else None
    if rounds is None or rounds > _MOST_ROUNDS:
        raise ValueError(f"it has a loop that may go on for more than {_MOST_ROUNDS} rounds")


def _makes_divisor(operator: str, attribute: _Attribute) -> bool:
    """Return whether a node returns floating-point numbers, or a positive integer, for sure."""
    if operator == "Cast":
        return _is_float(attribute.integers)
    kinds = [kind for tensor in attribute.tensors for kind in tensor["data_type"]]
    return operator == "Constant" and (_is_float(kinds) or 0 < _single_integer(attribute) < 2**63)


def _is_float(kinds: list[int]) -> bool:
    return len(kinds) > 0 and FLOATS.issuperset(kinds)


def _single_integer(attribute: _Attribute) -> int:
    """Return the value of a constant of one int64, as unsigned; a huge number for any other."""
    if len(attribute.tensors) == 1:
        (tensor,) = attribute.tensors
        data, kind = tensor["raw_data"], tensor["data_type"]
        if kind == [_INT64] and len(data) == 1 and len(data[0]) == 8:
            return int.from_bytes(data[0], "little")
    return 2**64


def _read_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (number, value) of each field: an int for a varint, and bytes for other types."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield key >> 3, value
            continue
        size = _SIZES.get(kind)
        if kind == _BYTES:
            size, at = _read_varint(message, at)
        if size is None or at + size > len(message):
            raise ValueError("it is damaged")
        yield key >> 3, message[at : at + size]
        at += size


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the integer at a place, and the place behind it."""
    number = 0
    for i in range(_VARINT_BYTES):
        if at + i >= len(message):
            break
        number |= (message[at + i] & 127) << (7 * i)
        if message[at + i] < 128:
            return number, at + i + 1
    raise ValueError("it is damaged")
