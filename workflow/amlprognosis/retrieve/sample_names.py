"""Which sample a column of a supplementary matrix is: found by the fields of the series, or refused."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from amlprognosis.cohort import require_column, shown
from amlprognosis.errors import InputError

# Fields that often hold the submitter's own sample names, in the order in which they are tried.
_FIRST = ("geo_accession", "title", "description")
_LAST = ("source_name_ch1", "source_name_ch2")
# Header fields of GEO that never name a sample.
_NEVER = re.compile(
    r"^(status|submission_date|last_update_date|type|channel_count|organism_ch\d|taxid_ch\d|molecule_ch\d|label_ch\d|"
    r"platform_id|contact_.*|supplementary_file.*|data_row_count|instrument_model|library_.*|.*protocol.*|"
    r"data_processing|relation|hyb_protocol|scan_protocol|growth_protocol_ch\d)$"
)
_LEAST_SHARE = 0.5


@dataclass(frozen=True)
class Match:
    """Samples of the columns.

    Attributes
    ----------
    samples : dict
        Sample (GSM) by column, for the columns that name one.
    field : str
        Field of the series that was compared.
    how : str
        ``as written``, or how the names were made alike.
    """

    samples: dict[str, str]
    field: str
    how: str


def _plain(text: str) -> str:
    return text.strip()


def _alike(text: str) -> str:
    """Without case, separators, and the X that R puts before a digit."""
    return re.sub(r"^x(?=\d)", "", re.sub(r"[\W_]+", "", text.casefold()))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s:,;()\[\]|/]+", text) if word]


def _padded(text: str) -> str:
    words = re.sub(r"[\W_]+", " ", text.casefold()).strip()
    return f" {words} "


def _by_key(columns: Sequence[str], values: Mapping[str, str], key: Callable[[str], str]) -> dict[str, set[str]]:
    owners = defaultdict(set)
    for sample, value in values.items():
        if key(value):
            owners[key(value)].add(sample)
    return {column: owners[key(column)] if key(column) else set() for column in columns}


def _by_word(columns: Sequence[str], values: Mapping[str, str]) -> dict[str, set[str]]:
    owners = defaultdict(set)
    for sample, value in values.items():
        for word in _words(value):
            owners[_alike(word)].add(sample)
    return {column: owners[_alike(column)] if _alike(column) else set() for column in columns}


def _by_part(columns: Sequence[str], values: Mapping[str, str]) -> dict[str, set[str]]:
    """One name is a part of the other, with whole words: S1 is in 'AML S1 bone marrow', not in 'AML S10'."""
    padded = {sample: _padded(value) for sample, value in values.items() if value}
    found = {}
    for column in columns:
        own = _padded(column)
        found[column] = {s for s, text in padded.items() if text.strip() and (own in text or text in own)}
    return found


_WAYS: dict[str, Callable[[Sequence[str], Mapping[str, str]], dict[str, set[str]]]] = {
    "as written": lambda columns, values: _by_key(columns, values, _plain),
    "without case and separators": lambda columns, values: _by_key(columns, values, _alike),
    "as a word of the field": _by_word,
    "as a part of the field": _by_part,
}


def _clear(found: Mapping[str, set[str]]) -> dict[str, str]:
    """Columns that name one sample, which no other column names."""
    single = {column: next(iter(samples)) for column, samples in found.items() if len(samples) == 1}
    owners = defaultdict(list)
    for column, sample in single.items():
        owners[sample].append(column)
    return {column: sample for column, sample in single.items() if len(owners[sample]) == 1}


def match_columns(columns: Sequence[str], samples: pd.DataFrame, field: str, origin: str) -> Match:
    """Find the sample of each column.

    Parameters
    ----------
    columns : sequence of str
        Columns of the matrix, unique.
    samples : DataFrame of str
        The series' description; index = GSM accession.
    field : str
        A column of ``samples``, or ``auto``: the one field that names every column, each its own sample.
    origin : str
        How errors call the matrix.

    Raises
    ------
    InputError
        No field, or several with different answers (auto); a field that names less than half of columns and samples.
    """
    table = samples.assign(geo_accession=samples.index)
    if field != "auto":
        require_column(table.columns, field, f"{origin}: sample_field")
        return _by_field(columns, table, field, origin)
    fields = _fields(table)
    for how, way in _WAYS.items():
        full = {}
        for name in fields if how != "as a part of the field" else [f for f in fields if f in (*_FIRST, *_LAST)]:
            found = _clear(way(columns, table[name].to_dict()))
            if len(found) == len(columns):
                full[name] = found
        if full:
            first = next(iter(full))
            other = next((name for name, found in full.items() if found != full[first]), None)
            if other is not None:
                column = next(c for c in columns if full[first][c] != full[other][c])
                raise InputError(
                    f"{origin}: both {first!r} and {other!r} of the series name all columns, but differently: column "
                    f"{column!r} is {full[first][column]} or {full[other][column]}; set sample_field to one of them"
                )
            return Match(full[first], first, how)
    raise InputError(_no_field(columns, table, fields, origin))


def _by_field(columns: Sequence[str], table: pd.DataFrame, field: str, origin: str) -> Match:
    best = Match({}, field, "")
    for how, way in _WAYS.items():
        found = _clear(way(columns, table[field].to_dict()))
        if len(found) > len(best.samples):
            best = Match(found, field, how)
    fewest = min(len(columns), len(table))
    if len(best.samples) < max(1, _LEAST_SHARE * fewest):
        raise InputError(
            f"{origin}: sample_field: {field} names {len(best.samples)} of its {len(columns)} columns "
            f"({shown(columns, 5)}); {field} holds {shown(table[field], 5)}. Set another field, or auto"
        )
    return best


def _fields(table: pd.DataFrame) -> list[str]:
    names = [str(name) for name in table.columns if not _NEVER.match(str(name))]
    first = [name for name in _FIRST if name in names]
    last = [name for name in _LAST if name in names]
    return [*first, *[name for name in names if name not in (*first, *last)], *last]


def _no_field(columns: Sequence[str], table: pd.DataFrame, fields: Iterable[str], origin: str) -> str:
    most: tuple[int, str, dict[str, str]] = (0, "", {})
    lines = []
    for name in fields:
        values = [value for value in dict.fromkeys(table[name]) if value]
        if len(values) > 1:
            lines.append(f"  {name}: {shown([value[:40] for value in values], 5)}")
        for way in _WAYS.values():
            found = _clear(way(columns, table[name].to_dict()))
            if len(found) > most[0]:
                most = (len(found), name, found)
    hint = ""
    if most[0]:
        rest = [column for column in columns if column not in most[2]]
        hint = (
            f" {most[1]} comes nearest with {most[0]} of {len(columns)}; it does not name {shown(rest, 5)}: list "
            f"columns that are no samples in annotation_columns, or set sample_field: {most[1]} to leave them out."
        )
    return (
        f"{origin}: no field of the series names every column of the matrix ({shown(columns, 5)}).{hint} The fields "
        "hold:\n" + "\n".join(lines[:20])
    )
