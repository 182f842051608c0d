"""CSV files that people write: read whole, checked, and every fault named by file and row."""

import csv

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from cardpose.errors import InputError, some


def read_table(path, schema):
    """Read a CSV file and check it against a pandera schema; spare columns are dropped.

    Raises:
        InputError: the file is missing, unreadable or empty, a column is missing or there twice,
            or a value breaks the schema; the message names the first faulty row (as a line of
            the file), the column, the value and what would be right.
    """
    wanted = list(schema.columns)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, skipinitialspace=True)
            header = [name.strip() for name in next(rows, [])]
            _check_header(path, header, wanted)
            for row in rows:
                if len(row) > len(header):
                    raise InputError(
                        f"{path}: line {rows.line_num}: should have {len(header)} values, as the"
                        f" header has (got {len(row)})"
                    )
        table = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            skip_blank_lines=False,
            skipinitialspace=True,
            index_col=False,
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: should be UTF-8 text") from None
    except (pd.errors.ParserError, csv.Error) as error:
        raise InputError(f"{path}: no valid CSV: {' '.join(str(error).split())}") from None
    table.columns = table.columns.str.strip()
    table = table[wanted].apply(lambda column: column.str.strip())
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise InputError(f"{path}: has no rows below its header")
    table = table.where(table != "", None)
    try:
        return schema.validate(table, lazy=True)
    except SchemaErrors as errors:
        raise InputError(_first_fault(path, errors.failure_cases)) from None


def number(kind, *checks, **options):
    """A pandera column of numbers, `kind` being "int64" or "float64"."""
    return pa.Column(kind, list(checks), coerce=True, **options)


def between(low, high):
    """A check that a number lies in [low, high]."""
    return pa.Check.in_range(low, high, error=f"should be between {low} and {high}")


def _check_header(path, header, wanted):
    missing = [name for name in wanted if name not in header]
    if missing and len(header) == 1:
        raise InputError(
            f"{path}: line 1: should name columns, with commas between: {some(wanted)}"
        )
    if missing:
        raise InputError(f"{path}: line 1: no column {some(missing)}")
    twice = sorted({name for name in wanted if header.count(name) > 1})
    if twice:
        raise InputError(f"{path}: line 1: column {some(twice)} is there twice")


def _first_fault(path, cases):
    cases = cases.sort_values("index", kind="stable", na_position="last")
    case = cases.iloc[0]
    where = "" if pd.isna(case["index"]) else f"line {int(case['index']) + 2}: "
    check, value = str(case["check"]), case["failure_case"]
    if check.startswith(("coerce_dtype", "dtype")):
        kind = "a whole number" if "int" in check else "a number"
        found = f"got {value!r}" if value is not None and not pd.isna(value) else "it is empty"
        return f"{path}: {where}{case['column']}: should be {kind} ({found})"
    if check == "not_nullable":
        return f"{path}: {where}{case['column']}: should not be empty"
    if check == "field_uniqueness":
        return f"{path}: {where}{case['column']}: {value!r} is there twice"
    return f"{path}: {where}{case['column']}: {check} (got {value})"
