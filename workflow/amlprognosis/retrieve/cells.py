"""Single-cell files of a GEO series, wherever they lie: in suppl/ of the series or of its samples, or in a tar archive.

References
----------
Folders: https://www.ncbi.nlm.nih.gov/geo/info/download.html. The series matrix names the files of each sample
(``!Sample_supplementary_file_1``).
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.archives import extract, is_archive, list_members
from amlprognosis.retrieve.cell_files import SampleParts, cell_file, group_files
from amlprognosis.retrieve.download import (
    FileRecord,
    NoConnection,
    Planned,
    Wanted,
    fetch_all,
    file_digest,
    is_remote,
    join,
    list_folder,
    local_path,
    write_provenance,
)
from amlprognosis.retrieve.geo import LICENCE
from amlprognosis.retrieve.geo_layout import accession_folder, series_url
from amlprognosis.retrieve.series_samples import matrix_urls, read_samples
from amlprognosis.study import Retrieval
from amlprognosis.study.cohorts import Atlas

_SUPPLEMENT_FIELD = re.compile(r"^supplementary_file(_\d+)?$")


@dataclass
class _Found:
    """Single files by their place below the base, archives, and what was looked through."""

    base: str
    files: dict[str, str] = field(default_factory=dict)
    archives: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def add(self, names: Iterable[str], folder: str) -> None:
        """Note the files of a folder."""
        self.places.append(folder)
        for name in names:
            if is_archive(name):
                self.archives.append(f"{folder}/{name}")
            elif cell_file(name) is not None:
                self.files[f"{folder}/{name}".removeprefix(self.base.rstrip("/") + "/")] = f"{folder}/{name}"


def plan(request: Atlas, base: str, destination: Path) -> list[Planned]:
    """Say without network what a retrieval would fetch (see :mod:`.sources`)."""
    accession, place = request.accession, str(destination)
    forms = {"dem": "{.dem.txt.gz, .anno.txt.gz}", "10x": "{10x files}", "table": "{.csv.gz, .txt.gz}"}
    form = forms.get(request.format, "{.dem.txt.gz, .anno.txt.gz or 10x files}")
    matrix = series_url(base, accession, "matrix", f"{accession}_series_matrix.txt.gz")
    sample = join(base, "samples", "{GSM...nnn}", "{GSM...}", "suppl")
    return [
        Planned(matrix, "series matrix (its samples)", place),
        *[Planned(f"{sample}/{{GSM...}}_{name}{form}", "single-cell files", place) for name in request.samples],
        *([] if request.samples else [Planned(f"{sample}/{form}", "single-cell files of all samples", place)]),
        Planned(
            series_url(base, accession, "suppl", f"{accession}_RAW.tar"),
            "archive, where the samples have no files",
            place,
        ),
    ]


def retrieve(request: Atlas, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring the single-cell files of an atlas to a folder (see :mod:`.sources`).

    Files of the series and of its samples come first; its archives only where samples are lacking. Of an archive only
    what is wanted is unpacked.

    Raises
    ------
    InputError
        A sample whose counts (or .anno beside a .dem) are nowhere, with the files that are there; a damaged file.
    """
    destination = Path(destination)
    found = _Found(base)
    records = _series_files(request, found, destination, settings)
    groups = _complete(request, group_files(found.files, request.format))
    if groups is None:
        _sample_files(request, found, records, destination, settings)
        groups = _complete(request, group_files(found.files, request.format))
    unpacked: list[FileRecord] = []
    if groups is None and found.archives:
        unpacked = _from_archives(request, found, destination, settings)
        names = [_relative(record.path, destination) for record in unpacked if not is_archive(record.path)]
        inside = {posixpath.basename(name) for name in names}
        found.files = {name: url for name, url in found.files.items() if posixpath.basename(name) not in inside}
        groups = _complete(request, group_files([*found.files, *names], request.format))
    if groups is None:
        raise InputError(_faults(request, found, unpacked, destination))
    wanted = []
    for group in groups:
        wanted += [
            Wanted(found.files[name], _place(name, destination)) for name in group.files.values() if name in found.files
        ]
    fetched = [record for record in fetch_all(wanted, settings) if record is not None]
    result = list({record.path: record for record in [*records, *fetched, *unpacked]}.values())
    write_provenance(destination, result, LICENCE)
    return result


def _complete(request: Atlas, groups: Sequence[SampleParts]) -> list[SampleParts] | None:
    """Samples asked for, if all of them are there with all their files; None otherwise."""
    by_name = {group.sample: group for group in groups}
    names = request.samples or sorted(by_name)
    if not names or any(name not in by_name or _lacking(by_name[name]) for name in names):
        return None
    return [by_name[name] for name in names]


def _lacking(group: SampleParts) -> list[str]:
    """Kinds of files that a sample should have: a .dem comes with its .anno."""
    return [*group.lacking, *(["anno"] if group.form == "dem" and "anno" not in group.files else [])]


def _place(name: str, destination: Path) -> Path:
    """Where a file lies: flat if its name tells its sample, else in a folder of the sample."""
    own, whole = cell_file(posixpath.basename(name)), cell_file(name)
    assert whole is not None
    if own is not None and own.sample == whole.sample and (own.gsm or not whole.gsm) and own.raw == whole.raw:
        return destination / posixpath.basename(name)
    prefix = f"{whole.gsm}_" if whole.gsm and whole.gsm != whole.sample else ""
    folder = f"{prefix}{whole.sample}" + ("_raw_feature_bc_matrix" if whole.raw else "")
    return destination / folder / posixpath.basename(name)


def _relative(path: str, destination: Path) -> str:
    return Path(os.path.relpath(path, destination)).as_posix()


def _series_files(request: Atlas, found: _Found, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Files in suppl/ of the series; and its series matrices, which name the samples."""
    folder = series_url(found.base, request.accession, "suppl")
    try:
        found.add([name for name in list_folder(folder, settings) if not name.endswith("/")], folder)
    except NoConnection:
        raise
    except InputError:
        found.places.append(folder)  # no such folder, or no index page: the samples have files of their own
    try:
        urls = matrix_urls(found.base, request.accession, destination, settings)
    except InputError:
        if is_remote(found.base):
            raise
        return []  # a folder with sample files alone will do
    wanted = [Wanted(url, destination / url.rsplit("/", 1)[1]) for url in urls]
    return [record for record in fetch_all(wanted, settings) if record is not None]


def _sample_files(
    request: Atlas, found: _Found, matrices: Sequence[FileRecord], destination: Path, settings: Retrieval
) -> None:
    """Files of the samples: as the series matrix names them, else by their folders."""
    if not matrices:
        root = Path(local_path(found.base)) / "samples"
        found.places.append(str(root))
        for path in sorted(root.rglob("suppl/*")) if root.is_dir() else []:
            found.files |= (
                {str(path.relative_to(local_path(found.base)).as_posix()): str(path)} if cell_file(path.name) else {}
            )
        return
    samples = read_samples([Path(record.path) for record in matrices])
    fields = [name for name in samples.columns if _SUPPLEMENT_FIELD.match(str(name))]
    for gsm, row in samples.iterrows():
        folder = join(found.base, "samples", accession_folder(str(gsm)), str(gsm), "suppl")
        urls = [url for name in fields for url in str(row[name]).split(" | ") if url and url.upper() != "NONE"]
        names = [posixpath.basename(url) for url in urls]
        if fields and is_remote(found.base):
            found.add(names, folder)
            continue
        try:
            found.add([name for name in list_folder(folder, settings) if not name.endswith("/")], folder)
        except InputError:
            found.places.append(folder)  # a sample without files


def _from_archives(request: Atlas, found: _Found, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Fetch the archives of the series and unpack what the atlas wants, archives within an archive, too."""
    wanted = [Wanted(url, destination / url.rsplit("/", 1)[1]) for url in found.archives]
    records = [record for record in fetch_all(wanted, settings) if record is not None]
    inner: list[FileRecord] = []
    for record in list(records):
        inner += _unpack(request, record, destination)
    for record in [record for record in inner if is_archive(record.path)]:
        inner += _unpack(request, record, destination)
    return [*records, *inner]


def _unpack(request: Atlas, archive: FileRecord, destination: Path) -> list[FileRecord]:
    path = Path(archive.path)
    outer = cell_prefix(path.name)
    names = {f"{outer}{name}": name for name in list_members(path)}
    groups = group_files(names, request.format)
    kept = {
        names[name]: _place(name, destination)
        for group in groups
        if not request.samples or group.sample in request.samples
        for name in group.files.values()
    }
    for name in names.values():
        asked = not request.samples or any(sample in name for sample in request.samples)
        if asked and is_archive(name) and cell_prefix(posixpath.basename(name)):
            kept[name] = destination / posixpath.basename(name)
    done = extract(path, kept.get)
    return [
        FileRecord(f"{archive.url}#{name}", str(target), target.stat().st_size, file_digest(target), archive.date)
        for name, target in done
    ]


def cell_prefix(archive: str) -> str:
    """Folder that the members of a sample's own archive are in: ``GSM1_name.tar.gz`` -> ``GSM1_name/``."""
    stem = re.sub(r"(\.tar)?(\.gz)?$|\.tgz$", "", archive)
    return f"{stem}/" if stem.startswith("GSM") else ""


def _faults(request: Atlas, found: _Found, unpacked: Sequence[FileRecord], destination: Path) -> str:
    """One line per sample that is not whole."""
    names = [*found.files, *[_relative(record.path, destination) for record in unpacked]]
    by_name = {group.sample: group for group in group_files(names, request.format)}
    there = f"; the samples there: {shown(sorted(by_name))}" if by_name else ""
    where = shown(found.places, 3)
    lines = []
    for name in request.samples or sorted(by_name):
        group = by_name.get(name)
        if group is None:
            lines.append(f"{name}: no file GSM*_{name}.* in {where}{there}; remove it from samples or add its files")
        elif _lacking(group):
            lines.append(f"{name}: {_missing(group, found.base)}; remove it from samples or add the file")
    if not lines:
        lines = [f"no single-cell files in {where}; forms known: .dem.txt.gz with .anno.txt.gz, 10x files, tables"]
    return "\n".join(f"{request.accession}: {line}" for line in lines)


def _missing(group: SampleParts, base: str) -> str:
    kinds = {"dem": f"GSM*_{group.sample}.dem.txt.gz", "anno": f"GSM*_{group.sample}.anno.txt.gz"}
    names = " and no ".join(kinds.get(kind, f"{kind} file") for kind in _lacking(group))
    others = [posixpath.basename(name) for name in group.files.values()]
    return f"no {names} below {base}, although {shown(others)} is there"
