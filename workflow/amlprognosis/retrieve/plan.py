"""What a study would fetch, from where, how large it is, and whether it is there: without network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from amlprognosis.catalogue.entries import Download, Entry, identity, load_catalogue
from amlprognosis.retrieve.download import Planned, is_remote, local_path
from amlprognosis.retrieve.sources import module_of
from amlprognosis.study import RemoteSource, Study
from amlprognosis.study.cohorts import Atlas

RETRIEVED = "results/retrieved"
UNKNOWN = "unknown until asked"


@dataclass(frozen=True)
class PlannedFile:
    """A file, or files of a kind, that a study needs.

    Attributes
    ----------
    what : str
        Such as "series matrix".
    url : str
        Where it comes from; a path for files that are read in place.
    path : str
        Where it will lie.
    megabytes : float or None
        Size (10^6 bytes); None where only the service knows.
    exact : bool
        Whether the size was measured rather than estimated.
    there : str
        "yes", "no", or the number of files that are in the folder.
    """

    what: str
    url: str
    path: str
    megabytes: float | None
    exact: bool
    there: str

    @property
    def size(self) -> str:
        """Size in words."""
        return size_text(self.megabytes, self.exact)


def size_text(megabytes: float | None, exact: bool = False) -> str:
    """A size in words: ``about 38 MB``, ``1.9 GB``, or that it is not known."""
    if megabytes is None:
        return UNKNOWN
    if megabytes >= 1000:
        number = f"{megabytes / 1000:.1f} GB"
    elif megabytes >= 0.95:
        number = f"{megabytes:.0f} MB"
    else:
        number = f"{max(megabytes * 1000, 1):.0f} kB"
    return number if exact else f"about {number}"


def study_plan(study: Study, retrieved: str = RETRIEVED) -> dict[tuple[str, str], list[PlannedFile]]:
    """Files of a study by service and accession, in the order of the study.

    Parameters
    ----------
    study : Study
        A validated study.
    retrieved : str
        Folder of retrieved files.

    Returns
    -------
    dict
        ``(service, accession)`` to files; ``("own tables", cohort)`` for the user's own files.
    """
    found: dict[tuple[str, str], list[PlannedFile]] = {}
    for service, accession in retrievals(study):
        found[service, accession] = accession_plan(study, service, accession, retrieved)
    for cohort in study.cohorts:
        own = [_own_file(key, path) for key, path in study.source_paths(cohort).items()]
        if own:
            found["own tables", cohort] = own
    return found


def retrievals(study: Study) -> list[tuple[str, str]]:
    """Services and accessions that a study needs, each once."""
    cohorts = [found for name in study.cohorts if (found := study.retrieval_of(name))]
    return list(dict.fromkeys([*cohorts, *(("cells", atlas.accession) for atlas in study.atlases.values())]))


def accession_plan(study: Study, service: str, accession: str, retrieved: str = RETRIEVED) -> list[PlannedFile]:
    """Files of one accession, as its source's module plans them, with sizes where they are known."""
    destination = Path(retrieved) / service / accession
    files: dict[tuple[str, str, str], PlannedFile] = {}
    for request in study.retrieval_requests(service, accession):
        known = list(_downloads(request))
        for planned in module_of(request).plan(request, study.base(request), destination):
            files.setdefault((planned.url, planned.path, planned.what), _sized(planned, known))
    return list(files.values())


def accession_text(study: Study, service: str, accession: str) -> str:
    """What the retrieval of an accession would fetch, in a line for a rule's message."""
    files = accession_plan(study, service, accession)
    bases = sorted({study.base(request) for request in study.retrieval_requests(service, accession)})
    named = "; ".join(f"{file.what}, {file.size}" for file in files)
    return f"from {' and '.join(bases)}: {named}; {total_text(files)}"


def total_text(files: Iterable[PlannedFile]) -> str:
    """Sum of the sizes in words."""
    files = list(files)
    known = [file.megabytes for file in files if file.megabytes is not None]
    if not known:
        return f"together {UNKNOWN}" if files else "nothing"
    rest = len(files) - len(known)
    exact = rest == 0 and all(file.exact for file in files)
    return f"together {size_text(sum(known), exact)}" + (f" and {rest} of unknown size" if rest else "")


def _downloads(request: RemoteSource | Atlas) -> Iterator[Download]:
    """What the catalogue knows of the sizes of a request's files; entries of the very platform first."""
    for entry in _entries(request):
        yield from entry.downloads


def _entries(request: RemoteSource | Atlas) -> list[Entry]:
    entries = load_catalogue().entries.values()
    if isinstance(request, Atlas):
        return [entry for entry in entries if entry.atlas and entry.atlas["accession"] == request.accession]
    own = identity(request)  # type: ignore[arg-type]
    of = [(entry, identity(entry.source)) for entry in entries if entry.source is not None]
    same = [(entry, other) for entry, other in of if own and other and other[:2] == own[:2]]
    return [entry for entry, other in sorted(same, key=lambda pair: pair[1] != own)]


def _sized(planned: Planned, known: Iterable[Download]) -> PlannedFile:
    """A planned file with its size: that of the local copy, that which the source publishes, that of the catalogue."""
    what, megabytes, exact = planned.what, None, False
    published = re.search(r" \(([\d.]+) MB\)$", what)
    url = local_path(planned.url)
    if not is_remote(planned.url) and os.path.isfile(url):
        what, megabytes, exact = what.removesuffix(published[0] if published else ""), os.path.getsize(url) / 1e6, True
    elif published:
        what, megabytes, exact = what.removesuffix(published[0]), float(published[1]), True
    else:
        names = [planned.url.rsplit("/", 1)[-1], Path(planned.path).name]
        for download in known:
            # A plan may name another file in words: "series matrix (or GSE..., where ...)".
            if what == download.what or download.file in what or any(fnmatch(n, download.file) for n in names):
                what = f"{download.files} {what}" if download.files > 1 else what
                megabytes, exact = download.megabytes, download.basis != "estimate"
                break
    return PlannedFile(what, planned.url, planned.path, megabytes, exact, _there(planned))


def _there(planned: Planned) -> str:
    if os.path.isfile(planned.path):
        return "yes"
    if not os.path.isdir(planned.path):
        return "no"
    name = planned.url.rsplit("/", 1)[-1]
    pattern = name if "*" in name else "*"
    files = [item for item in Path(planned.path).iterdir() if item.is_file() and fnmatch(item.name, pattern)]
    return f"{len(files)} files" if files else "no"


def plan_text(study: Study, retrieved: str = RETRIEVED) -> str:
    """What a study would fetch, as a table per accession."""
    parts = []
    plan = study_plan(study, retrieved)
    for (service, accession), files in plan.items():
        own = service == "own tables"
        title = f"{accession}: own tables" if own else f"{service} {accession} -> {Path(retrieved, service, accession)}"
        header = ("what", "size", "there", "read in place" if own else "from")
        parts.append("\n".join([title, *_table([header, *((f.what, f.size, f.there, f.url) for f in files)])]))
    fetched = [file for (service, _), files in plan.items() if service != "own tables" for file in files]
    parts.append(
        f"{study.study}: {total_text(fetched)}. Nothing was asked of any service; sizes with 'about' are estimates."
    )
    return "\n\n".join(parts)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"  {'  '.join(f'{cell:<{width}}' for cell, width in zip(row, widths, strict=True))}".rstrip() for row in rows
    ]


def _own_file(key: str, path: str) -> PlannedFile:
    there = os.path.isfile(path)
    return PlannedFile(
        key.replace("_", " "),
        path,
        path,
        os.path.getsize(path) / 1e6 if there else None,
        there,
        "yes" if there else "no",
    )
