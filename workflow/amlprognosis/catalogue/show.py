"""The catalogue as text: a table, an entry in full, and the block to paste into a study."""

from __future__ import annotations

import json
import textwrap
from typing import Any, get_args

import yaml

from amlprognosis.catalogue.entries import Entry, Kind, find_entry, load_catalogue

WIDTH = 100
_COLUMNS = (("entry", 22), ("patients", 8), ("endpoint", 12), ("platform", 19), ("read by", 14), ("checked by", 13))
_HEADINGS = {"single cells": "single-cell atlases", "look-up": "look-up resources"}


def list_text() -> str:
    """Table of all entries by kind, at most 100 columns wide."""
    catalogue = load_catalogue()
    lines = [_row([name for name, _ in _COLUMNS])]
    for kind in get_args(Kind):
        rows = [_row(_cells(key, entry)) for key, entry in catalogue.entries.items() if entry.kind == kind]
        if rows:
            lines += ["", _HEADINGS.get(kind, kind), *rows]
    lines += [
        "",
        f"{len(catalogue.entries)} entries, of {catalogue.date}. `amlprognosis catalogue ENTRY` shows one in full;",
        "a cohort of a study takes one that is read by something with `catalogue: ENTRY`.",
    ]
    return "\n".join(lines)


def entry_text(name: str) -> str:
    """An entry in full, with the block to paste.

    Raises
    ------
    InputError
        No such entry; names the nearest ones.
    """
    key, entry = find_entry(name)
    patients, endpoint = entry.patients, entry.endpoint
    facts = [
        ("kind", entry.kind),
        ("holds", entry.holds),
        ("patients", _joined(f"{patients.number:,}" if patients.number is not None else "", patients.note)),
        ("endpoint", _joined(_endpoint(entry), f"{endpoint.deaths} deaths" if endpoint.deaths else "", endpoint.note)),
        ("platform", entry.platform),
        ("population", entry.population),
        ("access", entry.access),
        ("licence", entry.licence),
        *(("cite", f"{c.text}{f', doi {c.doi}' if c.doi else ''}") for c in entry.citations),
        ("address", entry.address),
        ("mapping checked by", _joined(entry.verified.by, entry.verified.note)),
        ("not verified", ", ".join(entry.not_verified)),
        *(("download", _download(item)) for item in entry.downloads),
        *(("mind", trap) for trap in entry.traps),
        *(("overlaps", text) for text in _overlaps(key)),
        ("not readable", entry.reason),
    ]
    lines = [f"{key}: {entry.name}", ""]
    for label, text in facts:
        if text:
            lines += textwrap.wrap(
                text,
                WIDTH,
                initial_indent=f"{label:<20}",
                subsequent_indent=" " * 20,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join([*lines, *_paste(key, entry)])


def catalogue_json(name: str | None = None) -> str:
    """The catalogue, or one entry with its overlaps, as JSON."""
    if name is None:
        content: Any = load_catalogue().model_dump(mode="json", by_alias=True)
    else:
        key, entry = find_entry(name)
        content = {"id": key, **entry.model_dump(mode="json"), "overlaps": [*_overlaps(key)]}
    return json.dumps(content, indent=1, ensure_ascii=False)


def _cells(key: str, entry: Entry) -> list[str]:
    number = entry.patients.number
    return [
        key,
        f"{number:,}" if number is not None else "-",
        _endpoint(entry) or "-",
        entry.platform.split(" (")[0].split(",")[0] or "-",
        entry.way or "-",
        entry.verified.by,
    ]


def _row(cells: list[str]) -> str:
    parts = []
    for text, (_, width) in zip(cells, _COLUMNS, strict=True):
        short = text if len(text) <= width else f"{text[: width - 1]}…"
        parts.append(f"{short:<{width}}")
    return "  ".join(parts).rstrip()


def _endpoint(entry: Entry) -> str:
    return ", ".join(entry.endpoint.what)


def _joined(*texts: str) -> str:
    return "; ".join(text for text in texts if text)


def _download(item: Any) -> str:
    size = "size unknown until asked" if item.megabytes is None else f"{item.megabytes:g} MB ({item.basis})"
    many = f"{item.files} files, " if item.files > 1 else ""
    return f"{item.what}: {item.file}, {many}{size}"


def _overlaps(key: str) -> list[str]:
    found = []
    for overlap in load_catalogue().overlaps:
        others = [b if a == key else a for a, b in overlap.pairs if key in (a, b)]
        if others:
            many = f" ({overlap.shared} patients)" if overlap.shared else ""
            found.append(f"{overlap.kind}, with {', '.join(others)}{many}: {overlap.evidence}")
    return found


def _paste(key: str, entry: Entry) -> list[str]:
    if entry.cohort is not None:
        short: Any = {"cohorts": {key: {"role": "validation", "catalogue": key}}}
        full: Any = {"cohorts": {key: {"role": "validation", **entry.cohort}}}
        return ["", "In a study:", "", _yaml(short), "which is short for", "", _yaml(full)]
    if entry.atlas is not None:
        return ["", "In a study:", "", _yaml({"atlases": {key: entry.atlas}})]
    return []


def _yaml(content: Any) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=None)
    return text
