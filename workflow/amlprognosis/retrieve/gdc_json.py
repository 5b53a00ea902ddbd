"""Answers of the GDC API: the hits of a saved answer, and typed access to their parts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.files import read_text

Part = Mapping[str, Any]
# What the GDC writes for a value that it does not have, beside null.
MISSING = frozenset({"", "--", "'--", "not reported", "unknown", "not available", "not applicable", "unspecified"})


def load(path: str | Path) -> Any:
    """Content of a JSON file.

    Raises
    ------
    InputError
        No JSON (with line and column), or an object that names a key twice.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: line {error.lineno}, column {error.colno}: not valid JSON ({error.msg}); retrieve it again"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); retrieve it again") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"a key stands twice: {shown(sorted({key for key in keys if keys.count(key) > 1}))}")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def hits_of(answer: Any, origin: str) -> tuple[list[Part], int]:
    """Hits of an answer, or of a plain list, and how many there are in all by the answer's word.

    Raises
    ------
    InputError
        An error of the API, or no list of hits.
    """
    if isinstance(answer, Mapping) and "message" in answer and "data" not in answer:
        raise InputError(f"{origin}: the GDC answered with an error: {answer['message']}")
    data = answer.get("data") if isinstance(answer, Mapping) else None
    hits = answer if isinstance(answer, list) else data.get("hits") if isinstance(data, Mapping) else None
    if not isinstance(hits, list) or not all(isinstance(hit, Mapping) for hit in hits):
        raise InputError(f"{origin}: no list data.hits in it; an answer of the GDC API is expected here")
    pages = part(data or {}, "pagination", origin)
    total = pages.get("total", len(hits))
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise InputError(f"{origin}: pagination.total is {total!r}, not a number of hits")
    return hits, total


def read_hits(path: str | Path) -> list[Part]:
    """Hits of a saved answer.

    Raises
    ------
    InputError
        As :func:`load` and :func:`hits_of`, or fewer or more hits than the answer counts.
    """
    hits, total = hits_of(load(path), str(path))
    if total != len(hits):
        raise InputError(f"{path}: {len(hits)} of {total} hits; delete it and retrieve again")
    return hits


def part(value: Part, key: str, place: str) -> Part:
    """An object below a key; empty where it is missing."""
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise InputError(f"{place}: {key} is {_short(found)}, not an object; retrieve the file again")
    return found


def parts(value: Part, key: str, place: str) -> list[Part]:
    """A list of objects below a key; empty where it is missing."""
    found = value.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise InputError(f"{place}: {key} is {_short(found)}, not a list of objects; retrieve the file again")
    return found


def text(value: Part, key: str, place: str) -> str:
    """A text below a key; empty where it is missing."""
    found = value.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise InputError(f"{place}: {key} is {_short(found)}, not a text; retrieve the file again")
    return "" if found.strip().lower() in MISSING else found.strip()


def number(value: Part, key: str, place: str) -> float | None:
    """A number below a key; None where it is missing."""
    found = value.get(key)
    if found is None or (isinstance(found, str) and found.strip().lower() in MISSING):
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise InputError(f"{place}: {key} is {_short(found)}, not a number; retrieve the file again")
    return float(found)


def scalar(value: Any) -> str | None:
    """Text of a number, text or truth value; None for anything else."""
    return str(value) if isinstance(value, str | int | float) else None


def _short(value: Any) -> str:
    shortened = repr(value)
    return shortened if len(shortened) < 60 else f"{shortened[:57]}..."
