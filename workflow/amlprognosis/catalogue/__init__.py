"""The catalogue: the AML resources that a study may name, how they are read, and who is in several of them."""

from __future__ import annotations

from amlprognosis.catalogue.entries import Catalogue, Entry, find_entry, load_catalogue
from amlprognosis.catalogue.merge import with_catalogue
from amlprognosis.catalogue.overlaps import SharedPatients, overlap_between, overlap_warnings, study_overlaps

__all__ = [
    "Catalogue",
    "Entry",
    "SharedPatients",
    "find_entry",
    "load_catalogue",
    "overlap_between",
    "overlap_warnings",
    "study_overlaps",
    "with_catalogue",
]
