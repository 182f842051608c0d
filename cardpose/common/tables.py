"""CSV files: those that people write are checked piece by piece, and every fault named by file and
row; those of an earlier stage have to be as that stage wrote them."""

import csv
import gc

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from cardpose.common.errors import InputError, join_names, one_line, short_repr

_PIECE = 1024  # rows that are text at a time: a label takes 3 kB while it is
# The columns of such tables that hold whole numbers.
_WHOLE = {"cards_counted", "total_cards", "width", "height", "frames", "step"}


def read_table(path, schema):
    """Read a CSV file and check it against a pandera schema; spare columns are dropped.

    Returns:
        a table whose index is the line of the file that each row stands in.

    Raises:
        InputError: the file is missing, unreadable or empty, a column is missing or there twice,
            or a value breaks the schema; the message names the first faulty row (as a line of
            the file), the column, the value and what would be right.
    """
    pieces = []
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
        again = table[name].duplicated()
        if again.any():
            line, value = next(table.loc[again, name].items())
            raise InputError(f"{path}: line {line}: {name}: {short_repr(value)} is there twice")
    return table


def _checked(path, table, schema):
    whole = [name for name in table if str(schema.columns[name].dtype).lower() == "int64"]
    # Spreadsheets and pandas write 1.0 for 1 where another row of the column is empty.
    table[whole] = table[whole].replace(r"^([+-]?\d+)\.0*$", r"\1", regex=True)
    try:
        # A copy, as what pandera returns is in part a view of the text.
        checked = schema.validate(table, lazy=True).copy()
    except SchemaErrors as errors:
        raise InputError(_first_fault(path, errors.failure_cases)) from None
    if len(table) == _PIECE:
        gc.collect()  # pandera leaves the rest in cycles
    return checked


def _pieces(path, file, schema):
    """Tables of text, some of the lines that hold rows at a time, with the schema's columns."""
    reader = csv.reader(file, skipinitialspace=True, strict=True)
    needed = [name for name, column in schema.columns.items() if column.required]
    lines, rows, header, line = [], [], None, 0

    def piece():
        return pd.DataFrame(rows, index=lines, columns=wanted, dtype=object)

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
                wanted = [name for name in schema.columns if name in needed or name in header]
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
                yield piece()
                lines, rows = [], []
    except csv.Error as error:
        why = "a quote is not closed" if "end of data" in str(error) else str(error)
        raise InputError(f"{path}: line {line + 1}: no valid CSV: {why}") from None
    if header is None:
        _check_header(path, [], needed)
    if rows:
        yield piece()


def read_own_table(path, columns, sep=","):
    """A table that an earlier stage wrote, in which a recording may be named NA.

    Raises:
        InputError: it is missing, damaged, or has not these columns.
    """
    try:
        text = {"frame": str, "recording": str}
        table = pd.read_csv(path, sep=sep, dtype=text, keep_default_na=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:  # of pandas' parser, or of no UTF-8
        table = None
    whole = table is not None and set(columns) <= set(table.columns)
    if not whole or any(table[name].dtype.kind != "i" for name in _WHOLE & set(columns)):
        raise InputError(f"{path}: is damaged: delete it, and `dvc repro` makes it again")
    return table


def name_column():
    """A pandera column of names, no two alike; of two the second is at fault."""
    return pa.Column(str, unique=True, nullable=False, report_duplicates="exclude_first")


def number_column(kind, *checks, **options):
    """A pandera column of numbers, `kind` being "int64" or "float64"."""
    return pa.Column(kind, list(checks), coerce=True, **options)


def between(low, high):
    """A check that a number lies in [low, high]."""
    return pa.Check.in_range(low, high, error=f"should be between {low} and {high}")


def _check_header(path, header, wanted):
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


def _first_fault(path, cases):
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
