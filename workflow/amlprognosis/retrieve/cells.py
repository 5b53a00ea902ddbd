"""GEO single-cell supplements: a matrix (.dem) and an annotation (.anno) per sample."""

from __future__ import annotations

import re
from pathlib import Path

from amlprognosis.cohort import shown
from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import FileRecord, fetch, is_remote, join, local_path, write_provenance
from amlprognosis.retrieve.geo import LICENCE, accession_folder
from amlprognosis.study import Retrieval
from amlprognosis.study.cohorts import Atlas

KINDS = ("dem", "anno")
_NAME = re.compile(r"^(GSM\d+)_(.+)\.(dem|anno)\.txt\.gz$")


def supplement_urls(base: str, accession: str, samples: list[str]) -> list[str]:
    """Addresses of the supplements of named samples.

    The accession of a sample (GSM) is not part of its name, so the folder is looked through: the series' own
    ``suppl/`` and ``samples/GSM*nnn/GSM*/suppl/``.

    Raises
    ------
    InputError
        A sample whose matrix or annotation is not there, or a network address.
    """
    if is_remote(base):
        folder = join(base, "samples", "GSM...nnn", "GSM...", "suppl")
        raise InputError(
            f"{accession}: this version does not retrieve over the network. Download "
            f"{folder}/GSM..._<sample>.dem.txt.gz and .anno.txt.gz of {shown(samples)} into the same folders below a "
            "folder of yours, and name that as base_url of the atlas"
        )
    root = Path(local_path(base))
    places = [root / "series" / accession_folder(accession) / accession / "suppl", root / "samples"]
    found: dict[tuple[str, str], list[Path]] = {}
    for place in places:
        for path in sorted(place.rglob("*.txt.gz")) if place.is_dir() else []:
            match = _NAME.match(path.name)
            if match:
                found.setdefault((match[2], match[3]), []).append(path)
    urls, faults = [], []
    for sample in samples:
        for kind in KINDS:
            files = found.get((sample, kind), [])
            if len(files) == 1:
                urls.append(str(files[0]))
            elif files:
                faults.append(f"{sample}: more than one .{kind} file: {shown(files)}")
            else:
                other = found.get((sample, "anno" if kind == "dem" else "dem"))
                hint = f" although {other[0].name} is there" if other else ""
                faults.append(
                    f"{sample}: no GSM*_{sample}.{kind}.txt.gz below {root}{hint}; remove it from samples or "
                    f"add the file"
                )
    if faults:
        raise InputError("\n".join(f"{accession}: {fault}" for fault in faults))
    return urls


def retrieve_cells(base: str, accession: str, samples: list[str], destination: str | Path) -> list[FileRecord]:
    """Bring the supplements of the named samples to a folder, and write ``PROVENANCE.json``.

    Parameters
    ----------
    base : str
        GEO or a mirror.
    accession : str
        GSE....
    samples : list of str
        Names such as ``AML328-D0``.
    destination : path
        ``results/retrieved/geo/<accession>``.

    Raises
    ------
    InputError
        A file is missing, truncated, or a web page.
    """
    destination = Path(destination)
    urls = supplement_urls(base, accession, samples)
    records = [fetch(url, destination / Path(url).name) for url in urls]
    write_provenance(destination, records, LICENCE)
    return records


def retrieve(request: Atlas, base: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring the supplements of an atlas to a folder (see :mod:`.sources`)."""
    return retrieve_cells(base, request.accession, list(request.samples), destination)
