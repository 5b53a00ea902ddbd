"""Cohorts of a study that share patients, as far as the catalogue knows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from amlprognosis.catalogue.entries import Overlap, OverlapKind, entries_of, identity, load_catalogue
from amlprognosis.study.cohorts import Cohort

if TYPE_CHECKING:
    from amlprognosis.study import Study

_RANK: dict[OverlapKind, int] = {"known": 0, "partly": 1, "possible": 2}
_WORDS: dict[OverlapKind, str] = {
    "known": "hold the same patients",
    "partly": "share patients",
    "possible": "may share patients",
}


@dataclass(frozen=True)
class SharedPatients:
    """Two cohorts of a study that share patients.

    Attributes
    ----------
    first, second : str
        Names of the cohorts; the training cohort is the first.
    training : bool
        Whether the first is the training cohort.
    kind : {"known", "partly", "possible"}
        How sure that is.
    shared : int or None
        Patients in both, where they were counted.
    evidence : str
        How it is known.
    """

    first: str
    second: str
    training: bool
    kind: OverlapKind
    shared: int | None
    evidence: str

    @property
    def text(self) -> str:
        """A warning in a sentence or two."""
        roles = f"{self.first} ({'training' if self.training else 'validation'}) and {self.second} (validation)"
        many = f" ({self.shared})" if self.shared else ""
        harm = (
            "patients that the models saw are no test of them"
            if self.training
            else "a pooled estimate counts these patients twice"
        )
        return f"{roles} {_WORDS[self.kind]}{many}: {harm}. {self.evidence}"


def overlap_between(first: str, second: str) -> Overlap | None:
    """The surest overlap of two entries of the catalogue; the order of the two means nothing."""
    found = [o for o in load_catalogue().overlaps if {(first, second), (second, first)} & set(o.pairs)]
    return min(found, key=lambda overlap: _RANK[overlap.kind], default=None)


def study_overlaps(study: Study) -> list[SharedPatients]:
    """Pairs of cohorts that share patients; own tables are known only by the entry that they name.

    Parameters
    ----------
    study : Study
        A validated study.
    """
    names = [study.training, *study.validation]
    entries = {name: entries_of(study.cohorts[name]) for name in names}
    found = []
    for first, second in combinations(names, 2):
        told = _same(study.cohorts[first], study.cohorts[second], entries[first], entries[second])
        if told is None:
            pairs = [overlap_between(a, b) for a in entries[first] for b in entries[second]]
            best = min((o for o in pairs if o), key=lambda overlap: _RANK[overlap.kind], default=None)
            if best is not None:
                source = f" doi {best.doi}" if best.doi else ""
                told = best.kind, best.shared, f"{best.evidence}{source}"
        if told is not None:
            found.append(SharedPatients(first, second, first == study.training, *told))
    return found


def overlap_warnings(study: Study) -> list[str]:
    """What a study is warned of, a text per pair of cohorts."""
    return [shared.text for shared in study_overlaps(study)]


def _same(
    first: Cohort, second: Cohort, entries_1: list[str], entries_2: list[str]
) -> tuple[OverlapKind, int | None, str] | None:
    """Whether two cohorts are one resource, or one series on two platforms that the catalogue does not know."""
    both = sorted(set(entries_1) & set(entries_2))
    if both:
        return "known", None, f"Both are {' or '.join(both)}."
    one, other = identity(first.source), identity(second.source)
    if one is None or other is None or one[:2] != other[:2]:
        return None
    if one == other:
        return "known", None, f"Both are {one[1]}."
    if entries_1 and entries_2:
        return None
    return "possible", None, f"Both are parts of {one[1]}, which the catalogue does not know on these platforms."
