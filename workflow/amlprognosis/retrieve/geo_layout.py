"""Where GEO keeps its files: folders, names, and which files of a series hold the samples of a platform."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import join

_MATRIX = re.compile(r"(?P<series>GSE\d+)(?:-(?P<platform>GPL\d+))?_series_matrix(?:-(?P<part>\d+))?\.txt\.gz")


@dataclass(frozen=True, order=True)
class MatrixName:
    """A series matrix by its name.

    Attributes
    ----------
    platform : str
        Empty in a series with one platform.
    part : int
        GEO splits big series by samples: 1, 2, ...; 0 for a whole one.
    name : str
        File name.
    """

    platform: str
    part: int
    name: str


def accession_folder(accession: str) -> str:
    """GEO's folder of an accession: the last three digits become ``nnn``.

    >>> accession_folder("GSE37642"), accession_folder("GPL96")
    ('GSE37nnn', 'GPLnnn')
    """
    match = re.fullmatch(r"(GSE|GPL|GSM|GDS)(\d+)", accession)
    if not match:
        raise InputError(f"{accession!r}: not a GEO accession (GSE..., GPL..., GSM...)")
    kind, digits = match.groups()
    return f"{kind}{digits[:-3]}nnn"


def series_url(base: str, accession: str, *parts: str) -> str:
    """Address below the folder of a series."""
    return join(base, "series", accession_folder(accession), accession, *parts)


def matrix_name(accession: str, platform: str, several_platforms: bool) -> str:
    """File name of a series matrix that is not split."""
    return f"{accession}-{platform}_series_matrix.txt.gz" if several_platforms else f"{accession}_series_matrix.txt.gz"


def matrix_url(base: str, accession: str, platform: str, several_platforms: bool = False) -> str:
    """Address of a series matrix below a GEO base."""
    return series_url(base, accession, "matrix", matrix_name(accession, platform, several_platforms))


def family_name(accession: str) -> str:
    """File name of the SOFT family of a series or platform."""
    return f"{accession}_family.soft.gz"


def platform_url(base: str, platform: str, *parts: str) -> str:
    """Address of a platform's annotation table below a GEO base, or of another file of its folder."""
    return join(base, "platforms", accession_folder(platform), platform, *(parts or ("annot", f"{platform}.annot.gz")))


def matrices(names: Iterable[str], accession: str) -> list[MatrixName]:
    """Series matrices of a series among file names, sorted by platform and part."""
    found = []
    for name in names:
        match = _MATRIX.fullmatch(name)
        if match and match["series"] == accession:
            found.append(MatrixName(match["platform"] or "", int(match["part"] or 0), name))
    return sorted(found)


def choose(names: Iterable[str], accession: str, platform: str, several: bool | None, place: str) -> list[str]:
    """Names of the series matrices that hold the samples of a platform.

    Parameters
    ----------
    names : iterable of str
        Files of the folder.
    accession, platform : str
        Series and platform.
    several : bool, optional
        Whether the names hold the platform; None: as it is found.
    place : str
        How errors call the folder.

    Returns
    -------
    list of str
        Parts in their order; empty where the folder holds no series matrix at all.

    Raises
    ------
    InputError
        The series has no matrix of the platform (with the platforms that it has), or parts are missing.
    """
    found = matrices(names, accession)
    own = [item for item in found if item.platform == platform and several is not False]
    plain = [item for item in found if not item.platform and several is not True]
    chosen = own or plain
    if not chosen and found:
        there = sorted({item.platform for item in found} - {""})
        if several is not None:
            listed = shown([item.name for item in found])
            raise InputError(
                f"{place}: no series matrix of {platform} with several_platforms: {str(several).lower()}, but {listed} "
                "there; leave several_platforms out, so that this is found out"
            )
        raise InputError(
            f"{place}: no series matrix of {platform}; {accession} has {shown(there)}; set platform to one"
        )
    parts = [item.part for item in chosen]
    whole = [item for item in chosen if not item.part]
    if whole:
        return [whole[0].name]
    if parts != list(range(1, len(parts) + 1)):
        raise InputError(
            f"{place}: parts of the series matrix are missing: there are {shown(parts)}; retrieve them all"
        )
    return [item.name for item in chosen]
