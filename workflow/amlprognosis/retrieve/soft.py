"""GEO SOFT files: families of a series (``GSE..._family.soft.gz``) and curated data sets (``GDS...soft.gz``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.geo_samples import JOINER, HeaderRow, SeriesMatrix, no_table, sample_frame
from amlprognosis.retrieve.geo_table import Table, header, read_numbers, refuse_repeats
from amlprognosis.retrieve.geo_text import TextStream

_KINDS = ("DATABASE", "SERIES", "PLATFORM", "SAMPLE", "DATASET", "SUBSET", "Annotation")
_COLUMN_NOTE = re.compile(r"Value for (?P<sample>\S+): (?P<title>.*?)(?:; src: (?P<source>.*))?")


@dataclass
class Entity:
    """A block of a SOFT file: ``^SAMPLE = GSM11805`` and its attributes.

    Attributes
    ----------
    kind, name : str
        ``SAMPLE``, ``GSM11805``.
    line : int
        Line of the file that begins it.
    attributes : dict of str to list of str
        Values by key without ``!Sample_``; GEO repeats keys.
    columns : dict of str to str
        Descriptions of table columns (``#VALUE = ...``).
    """

    kind: str
    name: str
    line: int
    attributes: dict[str, list[str]] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)

    def first(self, key: str) -> str:
        """First value of a key; empty without one."""
        return self.attributes.get(key, [""])[0]


@dataclass
class Dataset:
    """A parsed GDS.

    Attributes
    ----------
    matrix : SeriesMatrix
        Samples (``title``, ``source_name_ch1`` and a column per subset type, such as ``disease state``) and values.
    symbols : Series of str
        The data set's identifier (mostly the gene symbol) by probe.
    """

    matrix: SeriesMatrix
    symbols: pd.Series


class SoftReader:
    """The entities of a SOFT file, one after the other; tables are read or passed over on demand."""

    def __init__(self, path: str | Path) -> None:
        self.stream = TextStream(path)
        self._pending = self.stream.line()
        if self._pending is None or not self._pending.startswith("^"):
            raise self.stream.fault("a SOFT file must start with ^DATABASE, ^SERIES, ^PLATFORM, ^SAMPLE or ^DATASET")

    def entity(self) -> tuple[Entity, bool] | None:
        """Next entity, and whether its table follows (to be taken by the caller up to its end); None at the end."""
        if self._pending is None:
            return None
        kind, _, name = self._pending.removeprefix("^").partition("=")
        found = Entity(kind.strip(), name.strip(), self.stream.number)
        if found.kind not in _KINDS:
            raise self.stream.fault(f"{self._pending[:40]!r} is no entity of a SOFT file ({', '.join(_KINDS)})")
        while (line := self.stream.line()) is not None and not line.startswith("^"):
            if line.lower().strip() == f"!{self._word(found)}_table_begin":
                return found, True
            self._attribute(found, line)
        self._pending = line
        return found, False

    def end_table(self, entity: Entity) -> None:
        """Take the line that ends a table.

        Raises
        ------
        InputError
            Another line, or the end of the file.
        """
        marker = f"!{self._word(entity)}_table_end"
        line = self.stream.line()
        if line is None:
            raise InputError(f"{self.stream.name}: no line {marker} for {entity.name}: cut off; retrieve it again")
        if line.lower().strip() != marker:
            raise self.stream.fault(f"{line[:40]!r} stands within the table of {entity.name}; retrieve the file again")
        line = self.stream.line()
        while line is not None and not line.strip():
            line = self.stream.line()
        if line is not None and not line.startswith("^"):
            raise self.stream.fault(f"{line[:40]!r} stands after the table of {entity.name}; retrieve the file again")
        self._pending = line

    def pass_table(self, entity: Entity) -> None:
        """Pass over a table."""
        for _ in self.stream.blocks():
            pass
        self.end_table(entity)

    @staticmethod
    def _word(entity: Entity) -> str:
        return entity.kind.lower()

    def _attribute(self, entity: Entity, line: str) -> None:
        if not line.strip():
            return
        key, cut, value = line.partition("=")
        key = key.strip()
        if line.startswith("#") and cut:
            entity.columns[key.removeprefix("#")] = value.strip()
        elif line.lower().startswith(f"!{self._word(entity)}_") and cut:
            entity.attributes.setdefault(key[len(entity.kind) + 2 :], []).append(value.strip())
        else:
            raise self.stream.fault(f"{line[:40]!r} is no line of {entity.kind} {entity.name} (!key = value)")


def parse_family(path: str | Path, platform: str | None = None) -> SeriesMatrix:
    """Parse the SOFT family of a series.

    Parameters
    ----------
    path : path
        ``GSE..._family.soft[.gz]``.
    platform : str, optional
        Samples of this platform; needed where the series has several.

    Returns
    -------
    SeriesMatrix
        Values are the column ``VALUE`` of the sample tables; probes are those of any sample, in the order of the file.
        A sample without a table stands in ``samples`` but not in ``expression``.

    Raises
    ------
    InputError
        With the line where there is one: cut off, several platforms, no sample of the platform, no tables, faults of
        the tables.
    """
    reader = SoftReader(path)
    series: dict[str, list[str]] = {}
    kept: list[Entity] = []
    seen: dict[str, Entity] = {}
    tables: dict[str, Table] = {}
    like: Table | None = None
    while (step := reader.entity()) is not None:
        entity, table_follows = step
        taken = entity.kind == "SAMPLE" and platform in (None, entity.first("platform_id"))
        if entity.kind == "SERIES":
            series = series or entity.attributes
        elif entity.kind == "SAMPLE":
            _check_sample(entity, seen, reader.stream)
            seen[entity.name] = entity
        if taken:
            kept.append(entity)
        if table_follows and taken:
            like = tables[entity.name] = _sample_table(reader, entity, like)
        elif table_follows:
            reader.pass_table(entity)
    name = reader.stream.name
    absent = sorted(set(series.get("sample_id", [])) - set(seen))
    if absent:
        raise InputError(f"{name}: cut off: samples that the series lists are missing: {shown(absent)}")
    platforms = sorted({entity.first("platform_id") for entity in seen.values()})
    if not kept:
        raise InputError(
            f"{name}: no sample of {platform or 'any platform'}; it has {shown(platforms) or 'no samples'}"
        )
    if platform is None and len(platforms) > 1:
        raise InputError(f"{name}: samples of several platforms: {shown(platforms)}; name one")
    filled = {sample: table for sample, table in tables.items() if table.ids[0]}
    if not filled or all(np.isnan(table.values).all() for table in filled.values()):
        raise no_table(name, "no sample has a data table with values", series)
    notes = [] if len(filled) == len(kept) else [f"{len(kept) - len(filled)} samples have no data table"]
    for sample, table in filled.items():
        counted = seen[sample].first("data_row_count")
        if counted.isdigit() and int(counted) != len(table.ids[0]):
            notes.append(f"{sample} has {len(table.ids[0])} rows, !Sample_data_row_count says {counted}")
    samples = _sample_rows(kept, name)
    return SeriesMatrix(samples, _expression(filled, notes), platform or platforms[0], series, notes)


def _check_sample(entity: Entity, seen: dict[str, Entity], stream: TextStream) -> None:
    for fault in (
        f"a second sample {entity.name}" if entity.name in seen else "",
        "a sample without name" if not entity.name else "",
        f"sample {entity.name} says !Sample_geo_accession = {entity.first('geo_accession')}"
        if entity.first("geo_accession") not in ("", entity.name)
        else "",
        f"sample {entity.name} has no !Sample_platform_id" if not entity.first("platform_id") else "",
    ):
        if fault:
            raise stream.fault(f"{fault}; retrieve the file again", entity.line)


def _sample_table(reader: SoftReader, entity: Entity, like: Table | None) -> Table:
    stream = reader.stream
    names = header(stream, "ID_REF")
    if "VALUE" not in names:
        reader.pass_table(entity)
        return Table([[]], np.empty((1, 0)), np.empty(0, dtype=int))
    table = read_numbers(stream, names, names[:1], ["VALUE"], quoted=False, like=like)
    if like is None or table.ids is not like.ids:
        refuse_repeats(stream, table.ids[0], table.lines, f"probes of {entity.name}")
    reader.end_table(entity)
    # Lines are not needed any more; hundreds of samples would keep them all.
    return replace(table, lines=np.empty(0, dtype=int))


def _sample_rows(entities: list[Entity], name: str) -> pd.DataFrame:
    """Attributes of the samples as columns; the n-th value of a repeated key is the n-th row, as in a series matrix."""
    rows: list[HeaderRow] = []
    depth: dict[str, int] = {}
    for entity in entities:
        for key, values in entity.attributes.items():
            depth[key] = max(depth.get(key, 0), len(values))
    for key, rounds in depth.items():
        for i in range(rounds):
            found = [entity.attributes.get(key, []) for entity in entities]
            rows.append(HeaderRow(key, [values[i] if i < len(values) else "" for values in found]))
    if "geo_accession" not in depth:
        rows.append(HeaderRow("geo_accession", [entity.name for entity in entities]))

    def fault(text: str, _line: int) -> InputError:
        return InputError(f"{name}: {text}")

    return sample_frame(rows, [entity.name for entity in entities], fault)


def _expression(tables: dict[str, Table], notes: list[str]) -> pd.DataFrame:
    lists = [table.ids[0] for table in tables.values()]
    probes = lists[0]
    if any(other is not probes and other != probes for other in lists[1:]):
        probes = list(dict.fromkeys(probe for other in lists for probe in other))
        shared = set(lists[0]).intersection(*lists[1:])
        if len(shared) < len(probes):
            notes.append(f"{len(probes) - len(shared)} of {len(probes)} probes are not in every sample: missing values")
    place = {probe: column for column, probe in enumerate(probes)}
    values = np.full((len(tables), len(probes)), np.nan)
    for row, table in zip(values, tables.values(), strict=True):
        if table.ids[0] is probes or table.ids[0] == probes:
            row[:] = table.values[0]
        else:
            row[[place[probe] for probe in table.ids[0]]] = table.values[0]
    return pd.DataFrame(values, index=pd.Index(list(tables), name="sample"), columns=pd.Index(probes))


def parse_dataset(path: str | Path) -> Dataset:
    """Parse a curated data set.

    Parameters
    ----------
    path : path
        ``GDS....soft[.gz]``.

    Returns
    -------
    Dataset
        Subsets become columns by their type (``disease state``); samples in several subsets of a type have both.

    Raises
    ------
    InputError
        With the line where there is one: no table, cut off, subsets that name unknown samples, faults of the table.
    """
    reader = SoftReader(path)
    info: dict[str, list[str]] = {}
    notes: dict[str, str] = {}
    subsets: list[Entity] = []
    found: tuple[list[str], Table] | None = None
    name = ""
    while (step := reader.entity()) is not None:
        entity, table_follows = step
        if entity.kind == "DATASET":
            name = entity.name
            info = info or entity.attributes
            notes |= entity.columns
        elif entity.kind == "SUBSET":
            subsets.append(entity)
        if table_follows and entity.kind == "DATASET" and found is None:
            names = header(reader.stream, "ID_REF")
            if len(names) < 3 or names[1] != "IDENTIFIER":
                raise reader.stream.fault("the table of a data set needs the columns ID_REF, IDENTIFIER and samples")
            table = read_numbers(reader.stream, names, names[:2], names[2:], quoted=False)
            refuse_repeats(reader.stream, table.ids[0], table.lines, "probes")
            found = names[2:], table
            reader.end_table(entity)
        elif table_follows:
            raise reader.stream.fault(f"a table of {entity.kind} {entity.name} in a data set; retrieve the file again")
    if found is None:
        raise InputError(
            f"{reader.stream.name}: no data set with a table: not a GDS file, or cut off; retrieve it again"
        )
    names, table = found
    samples = pd.DataFrame(_dataset_samples(reader.stream, name, names, notes, subsets, info))
    samples.index = pd.Index(names, name="sample")
    values = pd.DataFrame(table.values, index=samples.index, columns=pd.Index(table.ids[0]))
    if values.empty or values.isna().all(axis=None):
        raise InputError(f"{reader.stream.name}: the data table holds no value at all")
    platform = info.get("platform", [""])[0]
    symbols = pd.Series(table.ids[1], index=pd.Index(table.ids[0], name="id"), name="symbol", dtype=object)
    return Dataset(SeriesMatrix(samples, values, platform, info), symbols)


def _dataset_samples(
    stream: TextStream,
    name: str,
    names: list[str],
    notes: dict[str, str],
    subsets: list[Entity],
    info: dict[str, list[str]],
) -> dict[str, list[str]]:
    columns = {"geo_accession": names, "title": [""] * len(names), "source_name_ch1": [""] * len(names)}
    for i, sample in enumerate(names):
        match = _COLUMN_NOTE.fullmatch(notes.get(sample, ""))
        if match:
            columns["title"][i], columns["source_name_ch1"][i] = match["title"], match["source"] or ""
    columns["platform_id"] = [info.get("platform", [""])[0]] * len(names)
    place = {sample: i for i, sample in enumerate(names)}
    for subset in subsets:
        if subset.first("dataset_id") not in ("", name):
            raise stream.fault(f"subset {subset.name} is of {subset.first('dataset_id')}, not {name}", subset.line)
        members = [text.strip() for text in subset.first("sample_id").split(",") if text.strip()]
        unknown = sorted(set(members) - set(names))
        if unknown or not members or not subset.first("type"):
            what = f"names samples that the table lacks: {shown(unknown)}" if unknown else "has no type or no samples"
            raise stream.fault(f"subset {subset.name} {what}; retrieve the file again", subset.line)
        column = columns.setdefault(subset.first("type"), [""] * len(names))
        for i in (place[member] for member in members):
            texts = [text for text in (column[i], subset.first("description")) if text]
            column[i] = JOINER.join(dict.fromkeys(texts))
    return columns
