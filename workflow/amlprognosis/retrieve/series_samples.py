"""The samples of a GEO series: which files describe them, and what these say, without their data tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import NoConnection, is_remote, list_folder
from amlprognosis.retrieve.geo_layout import choose, matrices, matrix_name, series_url
from amlprognosis.retrieve.series_matrix import parse_series_matrix
from amlprognosis.study import Retrieval


def folder_names(folder: str, destination: Path, settings: Retrieval) -> list[str]:
    """Files of a folder of the service; offline, also those that lie in the place of the retrieved ones.

    Raises
    ------
    InputError
        No such folder, or offline and nothing known of it.
    """
    there = [path.name for path in destination.glob("*")] if destination.is_dir() else []
    try:
        names = list_folder(folder, settings)
    except InputError:
        if settings.offline and is_remote(folder) and there:
            return sorted(there)
        raise
    return [name for name in names if not name.endswith("/")]


def matrix_names(accession: str, names: Iterable[str], platform: str | None, place: str) -> list[str]:
    """Series matrices among file names: those of the platform, or all.

    Raises
    ------
    InputError
        There is none, or none of the platform.
    """
    names = list(names)
    if platform is not None:
        found = choose(names, accession, platform, None, place)
    else:
        found = [item.name for item in matrices(names, accession)]
    if not found:
        wanted = f"{accession}{f'-{platform}' if platform else ''}_series_matrix.txt.gz"
        raise InputError(f"{place}/{wanted}: no such file, and no other series matrix of {accession}")
    return found


def matrix_urls(
    base: str, accession: str, destination: Path, settings: Retrieval, platform: str | None = None
) -> list[str]:
    """Addresses of the series matrices (see :func:`matrix_names`)."""
    folder = series_url(base, accession, "matrix")
    try:
        names = folder_names(folder, destination, settings)
    except NoConnection:
        raise
    except InputError:
        if not is_remote(base):
            raise
        names = [matrix_name(accession, "", False)]  # no index page, or offline: the usual name
    return [f"{folder}/{name}" for name in matrix_names(accession, names, platform, folder)]


def read_samples(paths: Sequence[Path]) -> pd.DataFrame:
    """What series matrices say of their samples.

    Parameters
    ----------
    paths : sequence of Path
        Files of one series; their data tables may be empty and are not read.

    Returns
    -------
    DataFrame of str
        Index = GSM accession; header fields and characteristics, empty where a sample lacks one.

    Raises
    ------
    InputError
        No samples, or a sample in two files.
    """
    table = pd.concat([parse_series_matrix(path, expression=False).samples for path in paths]).fillna("")
    twice = sorted(set(table.index[table.index.duplicated()]))
    if twice:
        files = shown([path.name for path in paths])
        raise InputError(f"{paths[0].parent}: samples in several of {files}: {shown(twice)}; set platform")
    return table
