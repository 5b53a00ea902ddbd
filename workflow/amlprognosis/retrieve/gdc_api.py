"""Questions to the GDC API: the list of files, the clinical data and the data release of a project.

Facts of the API: https://docs.gdc.cancer.gov/API/Users_Guide/Search_and_Retrieval/.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import (
    FileRecord,
    Wanted,
    exists,
    fetch_all,
    is_remote,
    join,
    local_record,
    request_json,
)
from amlprognosis.retrieve.gdc_json import Part, hits_of, load, text
from amlprognosis.retrieve.records import write_text_whole
from amlprognosis.study import Retrieval

log = logging.getLogger(__name__)

FILES, CASES, STATUS = "files.json", "cases.json", "status.json"
ENDPOINTS = {FILES: "files", CASES: "cases"}
# Hits asked for at a time; an answer of /cases is several kB per case.
PAGE = 500
# How often a list that changes while it is read is begun anew.
TRIES = 3
FIELDS = (
    "file_id",
    "file_name",
    "md5sum",
    "file_size",
    "access",
    "state",
    "data_type",
    "data_format",
    "experimental_strategy",
    "analysis.workflow_type",
    "associated_entities.entity_submitter_id",
    "cases.submitter_id",
    "cases.project.project_id",
    "cases.samples.submitter_id",
    "cases.samples.sample_type",
    "cases.samples.tissue_type",
    "cases.samples.tumor_descriptor",
    "cases.samples.specimen_type",
    "cases.samples.portions.analytes.aliquots.submitter_id",
)
EXPAND = ("project", "demographic", "diagnoses", "follow_ups", "follow_ups.molecular_tests")


def _is(field: str, value: str) -> dict[str, Any]:
    return {"op": "in", "content": {"field": field, "value": [value]}}


def _all(*content: dict[str, Any]) -> dict[str, Any]:
    return {"op": "and", "content": list(content)}


def question(name: str, project: str) -> dict[str, Any]:
    """Body of the question whose answer is kept as ``files.json`` or ``cases.json``.

    Both kinds of file are asked for, whatever the study reads, because cohorts of one project share the answer; and
    those with controlled access, too, so that they can be named.
    """
    if name == CASES:
        filters = _is("project.project_id", project)
        return {"filters": filters, "expand": ",".join(EXPAND), "sort": "case_id:asc", "format": "JSON"}
    counts = _all(_is("data_type", "Gene Expression Quantification"), _is("analysis.workflow_type", "STAR - Counts"))
    mutations = _all(
        _is("data_type", "Masked Somatic Mutation"),
        _is("data_format", "MAF"),
        _is("analysis.workflow_type", "Aliquot Ensemble Somatic Variant Merging and Masking"),
    )
    either = {"op": "or", "content": [counts, mutations]}
    filters = _all(_is("cases.project.project_id", project), either)
    return {"filters": filters, "fields": ",".join(FIELDS), "sort": "file_id:asc", "format": "JSON"}


def ask_all(url: str, body: Mapping[str, Any], settings: Retrieval, size: int | None = None) -> list[Part]:
    """Hits of a question, over all pages.

    Parameters
    ----------
    url : str
        ``.../files`` or ``.../cases``.
    body : mapping
        The question, without ``from`` and ``size``.
    settings : Retrieval
    size : int, optional
        Hits per page; :data:`PAGE` by default.

    Returns
    -------
    list of mapping
        Sorted by id.

    Raises
    ------
    InputError
        The list changed in each of three readings: another total, a hit that stands on two pages, a page too short.
    """
    size, fault = size or PAGE, ""
    for _ in range(TRIES):
        found: dict[str, Part] = {}
        total, fault = None, ""
        while not fault and (total is None or len(found) < total):
            answer = request_json(url, settings, body={**body, "from": len(found), "size": size})
            hits, now = hits_of(answer, url)
            named = [text(hit, "file_id", url) or text(hit, "case_id", url) or text(hit, "id", url) for hit in hits]
            if total not in (None, now):
                fault = f"{total} hits, then {now}"
            elif "" in named:
                raise InputError(f"{url}: a hit without id; is this the GDC API?")
            elif len(set(named)) < len(named) or found.keys() & set(named):
                fault = "a hit stands twice"
            elif len(named) != min(size, now - len(found)):
                fault = f"{len(named)} hits from {len(found)} on, where {min(size, now - len(found))} are expected"
            found |= dict(zip(named, hits, strict=True))
            total = now
        if not fault:
            log.info("%s: %d hits", url, len(found))
            return [found[key] for key in sorted(found)]
        log.info("%s: the list changed while it was read (%s); read again", url, fault)
    raise InputError(f"{url}: the list changed while it was read, {TRIES} times ({fault}); try again later")


def bring_lists(base: str, project: str, destination: Path, settings: Retrieval) -> list[FileRecord]:
    """Bring ``files.json``, ``cases.json`` and, where there is one, ``status.json`` of a project to a folder.

    Answers that are there and were asked in the same words (or put there by the user) are kept, so that an
    interrupted retrieval goes on with the release that it began with; delete them for a newer one.

    Raises
    ------
    InputError
        Not there and offline; an answer of the API that is none.
    """
    if not is_remote(base):
        wanted = [Wanted(join(base, name), destination / name) for name in (FILES, CASES)]
        if exists(join(base, STATUS)):
            wanted.append(Wanted(join(base, STATUS), destination / STATUS))
        return [record for record in fetch_all(wanted, settings) if record]
    if settings.offline:
        fetch_all([Wanted(join(base, ENDPOINTS[name]), destination / name) for name in ENDPOINTS], settings)
    elif not all(_kept(destination / name, question(name, project)) for name in ENDPOINTS):
        # One release for all three: what is there of another one goes.
        destination.mkdir(parents=True, exist_ok=True)
        _save(destination / STATUS, request_json(join(base, "status"), settings))
        for name, endpoint in ENDPOINTS.items():
            body = question(name, project)
            hits = ask_all(join(base, endpoint), body, settings)
            page = {"count": len(hits), "total": len(hits), "size": len(hits), "from": 0, "sort": body["sort"]}
            page |= {"page": 1, "pages": 1}
            _save(destination / name, {"data": {"hits": hits, "pagination": page}, "warnings": {}, "question": body})
    places = [(name, endpoint) for name, endpoint in {**ENDPOINTS, STATUS: "status"}.items()]
    return [
        replace(local_record(destination / name), url=join(base, endpoint))
        for name, endpoint in places
        if (destination / name).is_file()
    ]


def _kept(path: Path, body: Mapping[str, Any]) -> bool:
    """Whether a saved answer is one to this question, or the user's own."""
    if not path.is_file():
        return False
    answer = load(path)
    return not isinstance(answer, Mapping) or answer.get("question", body) == body


def _save(path: Path, answer: Any) -> None:
    write_text_whole(path, json.dumps(answer, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def release(folder: Path) -> str:
    """Data release that the service named; empty where it did not."""
    path = folder / STATUS
    answer = load(path) if path.is_file() else {}
    found = answer.get("data_release") if isinstance(answer, Mapping) else None
    return found if isinstance(found, str) else ""
