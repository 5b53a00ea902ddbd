"""What a cohort of a study takes from the catalogue."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from amlprognosis.catalogue.entries import find_entry
from amlprognosis.errors import InputError


def with_catalogue(content: Mapping[str, Any], *, name: str = "the study") -> dict[str, Any]:
    """A study's content with the catalogue's sections in the cohorts that name an entry.

    Label, source and clinical mapping of the entry are taken; keys that the study gives win, at every depth (lists
    as a whole; an explicit nothing takes a key away). A cohort with another type of source, such as own tables of the
    same patients, takes the citation alone.

    Parameters
    ----------
    content : mapping
        As YAML gives it, before validation.
    name : str
        How errors call the file.

    Raises
    ------
    InputError
        An unknown entry, or one that a program cannot read, with the reason and its address.
    """
    result = dict(content)
    cohorts = content.get("cohorts")
    if not isinstance(cohorts, Mapping):
        return result
    result["cohorts"] = {
        key: _cohort(cohort, f"{name}: cohorts.{key}.catalogue") if _names_entry(cohort) else cohort
        for key, cohort in cohorts.items()
    }
    return result


def _names_entry(cohort: Any) -> bool:
    return isinstance(cohort, Mapping) and isinstance(cohort.get("catalogue"), str) and bool(cohort["catalogue"])


def _cohort(cohort: Mapping[str, Any], place: str) -> dict[str, Any]:
    key, entry = find_entry(cohort["catalogue"], place=place)
    given = cohort.get("source")
    own = given if isinstance(given, Mapping) else {}
    taken: dict[str, Any] = {"source": {"source_note": entry.source_note}}
    if entry.cohort is not None and own.get("type", entry.way) == entry.way:
        taken = _over(taken, entry.cohort)
    elif not own:
        how = "it is an atlas; paste its section under atlases." if entry.atlas is not None else entry.reason
        raise InputError(f"{place}: {key} cannot be a cohort: {how} See {entry.address}")
    return _over(taken, {**cohort, "catalogue": key})


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings merged at every depth; what is above wins."""
    merged: dict[str, Any] = copy.deepcopy(dict(below))
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _over(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged
