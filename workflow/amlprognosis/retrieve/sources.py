"""The one table of sources: which module retrieves, reads and plans each kind.

Every module has ``retrieve(request, base, destination, settings) -> list[FileRecord]``, which brings the raw files to a
folder; ``plan(request, base, destination) -> list[Planned]``, which says without network what that would fetch; and,
for bulk cohorts, ``read(request, folder, tables) -> RawCohort``, where ``tables`` are the user's own files by key.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import PROVENANCE, FileRecord, write_provenance
from amlprognosis.retrieve.records import disk_fault
from amlprognosis.study import (
    BeatamlSource,
    CbioportalSource,
    Clinical,
    GdcSource,
    GeoSource,
    GeoSupplementSource,
    RemoteSource,
    Study,
    XenaSource,
)
from amlprognosis.study.cohorts import Atlas
from amlprognosis.study.sources import OWN_MAPPING, Source

_MODULES: dict[type, str] = {
    GeoSource: "geo",
    GeoSupplementSource: "geo_supplement",
    GdcSource: "gdc",
    XenaSource: "xena",
    CbioportalSource: "cbioportal",
    BeatamlSource: "beataml",
    Atlas: "cells",
}


def module_of(request: RemoteSource | Atlas) -> ModuleType:
    """Module that retrieves and reads a source; imported when it is needed."""
    return importlib.import_module(f"amlprognosis.retrieve.{_MODULES[type(request)]}")


def default_clinical(source: Source) -> Clinical:
    """Mapping of the clinical columns that a source's reader makes (``DEFAULT_CLINICAL`` of its module).

    Raises
    ------
    InputError
        A source without a mapping of its own.
    """
    if not isinstance(source, OWN_MAPPING):
        raise InputError("clinical is needed for this source: map os_time and os_event to its columns")
    mapping: Clinical = module_of(source).DEFAULT_CLINICAL
    return mapping


def retrieve(study: Study, service: str, accession: str, destination: str | Path) -> list[FileRecord]:
    """Bring the raw files of an accession to a folder, with ``PROVENANCE.json``.

    Parameters
    ----------
    study : Study
        Says who asks for the files, and where they are.
    service : str
        A service of :data:`amlprognosis.study.sources.SERVICES`, or ``cells`` for atlases.
    accession : str
        Series, project, study.
    destination : path
        ``results/retrieved/<service>/<accession>``.

    Raises
    ------
    InputError
        A missing or damaged file, no answer, or no room on the disk.
    """
    try:
        return _retrieve(study, service, accession, Path(destination))
    except OSError as error:
        raise disk_fault(error, destination) from None


def _retrieve(study: Study, service: str, accession: str, destination: Path) -> list[FileRecord]:
    requests = study.retrieval_requests(service, accession)
    records: dict[str, FileRecord] = {}
    for request in requests:
        # A folder that is only half there has no provenance, even if this is killed.
        (destination / PROVENANCE).unlink(missing_ok=True)
        found = module_of(request).retrieve(request, study.base(request), destination, study.retrieval)
        records |= {record.path: record for record in found}
    note = "; ".join(sorted({request.source_note for request in requests if request.source_note}))
    if len(requests) > 1 or note:
        write_provenance(destination, records.values(), note)
    return list(records.values())
