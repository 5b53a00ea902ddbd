"""One retrieval per source and accession, for every cohort or atlas of a study that asks for it."""

from __future__ import annotations

from pathlib import Path

from amlprognosis.retrieve.cells import retrieve_cells
from amlprognosis.retrieve.download import FileRecord, write_provenance
from amlprognosis.retrieve.gdc import retrieve_gdc
from amlprognosis.retrieve.geo import retrieve_geo
from amlprognosis.study import GdcSource, GeoSource, Study


def retrieve(study: Study, source: str, accession: str, destination: str | Path) -> list[FileRecord]:
    """Bring the raw files of an accession to a folder, with ``PROVENANCE.json``.

    Parameters
    ----------
    study : Study
        Says who asks for the files, and where they are.
    source : {"geo", "gdc", "cells"}
        Kind of source.
    accession : str
        Series or project.
    destination : path
        ``results/retrieved/<source>/<accession>``.

    Raises
    ------
    InputError
        A missing or damaged file.
    """
    requests = study.retrieval_requests(source, accession)
    records: dict[str, FileRecord] = {}
    for request in requests:
        base = study.location(request.base_url)
        if isinstance(request, GeoSource):
            found = retrieve_geo(
                base, accession, request.platform, destination, several_platforms=request.several_platforms
            )
        elif isinstance(request, GdcSource):
            found = retrieve_gdc(base, accession, destination)
        else:
            found = retrieve_cells(base, accession, list(request.samples), destination)
        records |= {record.path: record for record in found}
    note = "; ".join(sorted({request.source_note for request in requests if request.source_note}))
    if len(requests) > 1 or note:
        write_provenance(destination, records.values(), note)
    return list(records.values())
