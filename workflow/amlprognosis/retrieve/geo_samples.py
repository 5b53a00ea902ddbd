"""What GEO says of the samples of a series: header fields and characteristics, of a series matrix or SOFT file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError

CHARACTERISTICS = "characteristics_ch"
JOINER = " | "
# A study refers to these fields by name: a characteristics key of the same name gets the channel after it.
RESERVED = ("geo_accession", "title", "platform_id")


@dataclass
class SeriesMatrix:
    """A parsed series, from its series matrix, a SOFT family or a GDS.

    Attributes
    ----------
    samples : DataFrame of str, index GSM accession
        Header fields (``title``, ``source_name_ch1``, ...), the whole texts of the characteristics
        (``characteristics_ch1``, ``characteristics_ch2``), and a column per characteristics key (``key``, of the second
        channel ``key (ch2)``); empty where a sample lacks the key. A header field that a key shares its name with is
        called ``Sample_<field>``.
    expression : DataFrame of float64 of shape (n_samples, n_probes)
        Values; NaN where the file has none. Without columns if only the samples were asked for.
    platform : str
        GPL accession of the samples; empty where there are several.
    series : dict of str to list of str
        What the file says of the series: ``title``, ``pubmed_id``, ``type``, ``overall_design``, ...
    notes : list of str
        What a reader should know: lines left out, row counts that differ.
    """

    samples: pd.DataFrame
    expression: pd.DataFrame
    platform: str
    series: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class HeaderRow:
    """A header field with a value per sample.

    Attributes
    ----------
    key : str
        Without ``!Sample_``.
    values : list of str
        In the order of the samples.
    line : int
        Line of the file, 0 where each sample has its own.
    """

    key: str
    values: list[str]
    line: int = 0


def cut_key(text: str) -> tuple[str, str] | None:
    """Key and value of a characteristics text; None for a text without a key.

    The key ends at the first colon outside parentheses. A text with a semicolon before it is a sentence
    (``AML FAB M4; age = 62 years; status (0=alive/1=dead): 1``), and the colon of a web address cuts nothing.

    >>> cut_key("event (1: dead, 0:alive): 1")
    ('event (1: dead, 0:alive)', '1')
    """
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == ":" and depth <= 0:
            key, value = text[:place].strip(), text[place + 1 :]
            return None if not key or ";" in key or value.startswith("//") else (key, value.strip())
    return None


def sample_frame(
    rows: Sequence[HeaderRow], accessions: Sequence[str], fault: Callable[[str, int], InputError]
) -> pd.DataFrame:
    """Columns of the samples (see :class:`SeriesMatrix`).

    Parameters
    ----------
    rows : sequence of HeaderRow
        Each with a value per accession; several rows may have one key.
    accessions : sequence of str
        GSM accessions.
    fault : callable
        Makes the error of a text and a line.

    Raises
    ------
    InputError
        A characteristics key with a stray quotation mark.
    """
    fields: dict[str, list[str]] = {}
    keyed: dict[str, list[str]] = {}
    size = len(accessions)
    for row in rows:
        joined = fields.setdefault(row.key, [""] * size)
        for position, value in enumerate(row.values):
            _add(joined, position, value)
            cut = cut_key(value) if row.key.startswith(CHARACTERISTICS) else None
            if cut is None:
                continue
            if '"' in cut[0]:
                raise fault(
                    f"sample {accessions[position]}: {value!r} has a quotation mark in its key; retrieve it again",
                    row.line,
                )
            channel = row.key.removeprefix(CHARACTERISTICS)
            name = cut[0] if channel == "1" and cut[0] not in RESERVED else f"{cut[0]} (ch{channel})"
            _add(keyed.setdefault(name, [""] * size), position, cut[1])
    named = {f"Sample_{key}" if key in keyed else key: values for key, values in fields.items()}
    return pd.DataFrame({**named, **keyed}, index=pd.Index(list(accessions), name="sample"), dtype=object)


def _add(column: list[str], position: int, value: str) -> None:
    """Add a text; one that GEO repeats stands once."""
    if value and column[position]:
        if value not in column[position].split(JOINER):
            column[position] += JOINER + value
    elif value:
        column[position] = value


def platform_of(samples: pd.DataFrame) -> str:
    """Platform of the samples; empty where there is none or several."""
    found = sorted(set(samples["platform_id"]) - {""}) if "platform_id" in samples else []
    return found[0] if len(found) == 1 else ""


def no_table(name: str, what: str, series: dict[str, list[str]]) -> InputError:
    """Error for a series whose data are supplementary files."""
    listed = [text for text in series.get("supplementary_file", []) if text.upper() != "NONE"]
    where = f" The series lists: {shown(listed)}." if listed else ""
    return InputError(
        f"{name}: {what}: usual for sequencing series, whose counts lie in suppl/.{where} Read such a file with a "
        "source of type: geo_supplement (supplement: its name), which takes the clinical columns from here"
    )
