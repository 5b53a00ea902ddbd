"""What a study asks a source for, brought to one folder."""

from __future__ import annotations

from pathlib import Path

from amlprognosis.errors import InputError
from amlprognosis.retrieve.cells import retrieve_cells
from amlprognosis.retrieve.download import FileRecord, write_provenance
from amlprognosis.retrieve.gdc import LICENCE as GDC_LICENCE
from amlprognosis.retrieve.gdc import retrieve_gdc
from amlprognosis.retrieve.geo import LICENCE as GEO_LICENCE
from amlprognosis.retrieve.geo import retrieve_geo
from amlprognosis.study import Atlas, GdcSource, GeoSource, Study


def retrieve(study: Study, source: str, accession: str, destination: str | Path) -> list[FileRecord]:
    """Retrieve everything that a study needs of an accession, with one ``PROVENANCE.json``.

    Parameters
    ----------
    study : Study
        The study.
    source : {"geo", "gdc", "cells"}
        Kind of source.
    accession : str
        GSE... or a GDC project.
    destination : path
        ``results/retrieved/<source>/<accession>``.

    Raises
    ------
    InputError
        Nothing in the study asks for it, or a file is missing or damaged.
    """
    requests: list[GeoSource | GdcSource | Atlas] = [
        *(cohort.source for cohort in study.cohorts.values() if isinstance(cohort.source, GeoSource | GdcSource)),
        *study.atlases.values(),
    ]
    records: dict[str, FileRecord] = {}
    for request in requests:
        base = study.location(request.base_url)
        if source == "geo" and isinstance(request, GeoSource) and request.accession == accession:
            found = retrieve_geo(
                base, accession, request.platform, destination, several_platforms=request.several_platforms
            )
        elif source == "gdc" and isinstance(request, GdcSource) and request.project == accession:
            found = retrieve_gdc(base, accession, destination)
        elif source == "cells" and isinstance(request, Atlas) and request.accession == accession:
            found = retrieve_cells(base, accession, list(request.samples), destination)
        else:
            continue
        records.update({record.path: record for record in found})
    if not records:
        raise InputError(f"the study asks nothing of {source} {accession}")
    write_provenance(destination, records.values(), GDC_LICENCE if source == "gdc" else GEO_LICENCE)
    return list(records.values())
