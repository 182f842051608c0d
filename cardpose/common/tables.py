"""Read CSV files.

Check every value in files that people write, and report the first fault with file and line. Check
only the columns of files that earlier stages wrote.
"""

import csv
import gc
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal, TextIO

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from cardpose.common.errors import InputError, join_names, one_line, short_repr
from cardpose.common.regular_files import bounded_lines, check_regular

_PIECE = 1024  # rows held as text at a time; one label takes 3 kB as text
# Columns of whole numbers in files of earlier stages.
_WHOLE = {"cards_counted", "total_cards", "width", "height", "frames", "step"}


def read_table(path: str | Path, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Read a CSV file and check it against a pandera schema; drop other columns.

    Returns:
        Table whose index is the line number of each row in the file.

    Raises:
        InputError: the file is missing, unreadable or empty, a column is missing or repeated, or a
            value breaks the schema. The message names the line, column and value of the first
            fault, and the rule that it breaks.
    """
    pieces = []
    check_regular(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            for piece in _pieces(path, file, schema):
                pieces.append(_checked(path, piece.where(piece != "", None), schema))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: should be UTF-8 text") from None
    if not pieces:
        raise InputError(f"{path}: has no rows below its header")
    table = pd.concat(pieces)
    for name in (name for name in table if schema.columns[name].unique):
        repeated = table[name].duplicated()
        if repeated.any():
            line, value = next(table.loc[repeated, name].items())
            raise InputError(f"{path}: line {line}: {name}: {short_repr(value)} is there twice")
    return table


def read_own_table(path: str | Path, columns: Collection[str], sep: str = ",") -> pd.DataFrame:
    """Read a table that an earlier stage wrote. A recording named NA keeps its name.

    Raises:
        InputError: the file is missing or damaged, or a column is missing.
    """
    check_regular(path)
    try:
        text = {"frame": str, "recording": str}
        table = pd.read_csv(path, sep=sep, dtype=text, keep_default_na=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:  # from pandas' parser, or because the file is not UTF-8
        table = None
    if (
        table is None
        or not set(columns) <= set(table.columns)
        or any(table[name].dtype.kind != "i" for name in _WHOLE & set(columns))
    ):
        raise InputError(f"{path}: is damaged: delete it, and `dvc repro` makes it again")
    return table


def name_column() -> pa.Column:
    """Return a pandera column of unique names. The second of two equal names is reported."""
    return pa.Column(str, unique=True, nullable=False, report_duplicates="exclude_first")


def number_column(
    kind: Literal["int64", "Int64", "float64"],
    *checks: pa.Check,
    nullable: bool = False,
    required: bool = True,
) -> pa.Column:
    """Return a pandera column of numbers. "Int64" holds whole numbers and missing values."""
    return pa.Column(kind, list(checks), coerce=True, nullable=nullable, required=required)


def between(low: int | float, high: int | float) -> pa.Check:
    """Return a check that a number lies in [low, high]."""
    return pa.Check.in_range(low, high, error=f"should be between {low} and {high}")


def _pieces(path: str | Path, file: TextIO, schema: pa.DataFrameSchema) -> Iterator[pd.DataFrame]:
    """Yield tables of text with the schema's columns, `_PIECE` rows at a time.

    Empty rows are skipped. The index is the line number.
    """
    reader = csv.reader(bounded_lines(path, file), skipinitialspace=True, strict=True)
    required = [name for name, column in schema.columns.items() if column.required]
    header: list[str] | None = None
    wanted: list[str] = []
    places: list[int] = []
    lines: list[int] = []
    rows: list[list[str]] = []
    line = 0
    try:
        for row in reader:
            line += 1
            if line != reader.line_num:
                raise InputError(
                    f"{path}: line {line}: a value goes on in the next line; is a quote not closed?"
                )
            row = [value.strip() for value in row]
            if any("\0" in value for value in row):
                raise InputError(f"{path}: line {line}: holds a zero byte; should be text")
            if header is None:
                header = row
                wanted = [name for name in schema.columns if name in required or name in header]
                _check_header(path, header, wanted)
                places = [header.index(name) for name in wanted]
                continue
            if len(row) > len(header):
                raise InputError(
                    f"{path}: line {line}: should have {len(header)} values, as the header has"
                    f" (got {len(row)})"
                )
            row += [""] * (len(header) - len(row))
            if any(row[place] for place in places):
                lines.append(line)
                rows.append([row[place] for place in places])
            if len(rows) == _PIECE:
                yield pd.DataFrame(rows, index=lines, columns=wanted, dtype=object)
                lines, rows = [], []
    except csv.Error as error:
        why = "a quote is not closed" if "end of data" in str(error) else str(error)
        raise InputError(f"{path}: line {line + 1}: no valid CSV: {why}") from None
    if header is None:
        _check_header(path, [], required)
    if rows:
        yield pd.DataFrame(rows, index=lines, columns=wanted, dtype=object)


def _checked(path: str | Path, table: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Return a table of text converted to the schema's types, or report its first fault."""
    whole = [name for name in table if str(schema.columns[name].dtype).lower() == "int64"]
    # Spreadsheets and pandas write 1.0 for 1 if another value of the column is empty.
    table[whole] = table[whole].replace(r"^([+-]?\d+)\.0*$", r"\1", regex=True)
    try:
        # Copy, because parts of pandera's result are views that keep the text in memory.
        checked = schema.validate(table, lazy=True).copy()
    except SchemaErrors as errors:
        raise InputError(_first_fault(path, errors.failure_cases)) from None
    if len(table) == _PIECE:
        gc.collect()  # pandera leaves reference cycles that hold the text
    return checked


def _check_header(path: str | Path, header: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in header]
    if missing and len(header) == 1:
        raise InputError(
            f"{path}: line 1: should name columns, with commas between: {join_names(wanted)}"
        )
    if missing:
        raise InputError(f"{path}: line 1: no column {join_names(missing)}")
    twice = sorted({name for name in wanted if header.count(name) > 1})
    if twice:
        raise InputError(f"{path}: line 1: column {join_names(twice)} is there twice")


def _first_fault(path: str | Path, cases: pd.DataFrame) -> str:
    """Describe the first of pandera's failure cases in one line."""
    cases = cases.sort_values("index", kind="stable", na_position="last")
    case = cases.iloc[0]
    where = "" if pd.isna(case["index"]) else f"line {int(case['index'])}: "
    check, value = str(case["check"]), case["failure_case"]
    if check.startswith(("coerce_dtype", "dtype")):
        kind = "a whole number" if "int" in check.lower() else "a number, like 0.25"
        found = "it is empty" if value is None or pd.isna(value) else f"got {short_repr(value)}"
        return f"{path}: {where}{case['column']}: should be {kind} ({found})"
    if check == "not_nullable":
        return f"{path}: {where}{case['column']}: should not be empty"
    if check == "field_uniqueness":
        return f"{path}: {where}{case['column']}: {short_repr(value)} is there twice"
    return f"{path}: {where}{case['column']}: {check} (got {one_line(value)[:80]})"
