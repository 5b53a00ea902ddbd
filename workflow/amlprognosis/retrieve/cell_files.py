"""Names of single-cell files: which sample and which part of it a file is.

Forms in GEO: ``GSM..._name.dem.txt.gz`` with ``.anno.txt.gz`` (GSE116256); the three files of 10x Genomics' matrices,
with a prefix or in a folder of their own; their ``.h5``; a table per sample.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from amlprognosis.errors import InputError

_ZIP = r"(?:\.gz)?$"
# A word between may name the sample, too: GSM3396161_matrix_A.mtx.gz (GSE120221).
_KINDS = {
    "dem": re.compile(r"\.dem\.txt" + _ZIP),
    "anno": re.compile(r"\.anno\.txt" + _ZIP),
    "mtx": re.compile(r"(?:(?:^|[._-])(?:matrix|counts?)(?P<rest>[._-].+)?)?\.mtx" + _ZIP, re.IGNORECASE),
    "barcodes": re.compile(r"(?:^|[._-])barcodes(?P<rest>[._-].+)?\.(?:tsv|txt)" + _ZIP, re.IGNORECASE),
    "features": re.compile(r"(?:^|[._-])(?:features|genes)(?P<rest>[._-].+)?\.(?:tsv|txt)" + _ZIP, re.IGNORECASE),
    "h5": re.compile(r"\.h5" + _ZIP, re.IGNORECASE),
    "table": re.compile(r"\.(?:csv|tsv|txt)" + _ZIP, re.IGNORECASE),
}
_MOLECULES = re.compile(r"molecule_info\.h5", re.IGNORECASE)
_MATRIX_WORD = re.compile(
    r"[._-]*((sample_)?(filtered|raw)?_?(feature|gene)_bc_matri(x|ces)(_mex|_h5)?|filtered|outs)$", re.IGNORECASE
)
_RAW = re.compile(r"(^|[/._-])raw_(feature|gene)_bc_matri", re.IGNORECASE)
_NO_SAMPLE = re.compile(
    r"^(outs|count|suppl|samples|series|matrix|GSE\d+.*|GS[EM]\d*nnn|GRCh\d+.*|hg\d+.*|\.?)$",
    re.IGNORECASE,
)
_GSM = re.compile(r"^(GSM\d+)(?:[._-]|$)")


@dataclass(frozen=True)
class CellFile:
    """A file of a sample.

    Attributes
    ----------
    name : str
        Path as given.
    sample : str
        Name after the GSM prefix, such as ``AML328-D0``; the accession itself where there is nothing after it.
    gsm : str
        GSM accession; ``""`` if unnamed.
    kind : str
        dem, anno, mtx, barcodes, features, h5, table.
    raw : bool
        An unfiltered 10x matrix: every barcode, most of them empty droplets.
    """

    name: str
    sample: str
    gsm: str
    kind: str
    raw: bool = False


def cell_file(name: str) -> CellFile | None:
    """What a file is by its path (with ``/``); None for anything that is no single-cell file."""
    path = name.replace("\\", "/")
    base = posixpath.basename(path)
    if _MOLECULES.search(base):
        return None
    kind = next((kind for kind, pattern in _KINDS.items() if pattern.search(base)), None)
    if kind is None or (kind == "table" and not _GSM.match(base)):
        return None
    found = _KINDS[kind].search(base)
    assert found is not None
    stem = base[: found.start()] + (found.groupdict().get("rest") or "")
    stem = _MATRIX_WORD.sub("", stem).rstrip("._-")
    gsm = ""
    if match := _GSM.match(stem):
        gsm, stem = match[1], stem[match.end() :].strip("._-")
    folders = [part for part in posixpath.dirname(path).split("/") if part]
    for folder in reversed(folders):
        if stem and gsm:
            break
        match = _GSM.match(folder)
        if match and not gsm:
            gsm = match[1]
        rest = folder[match.end() :].strip("._-") if match else folder
        rest = _MATRIX_WORD.sub("", rest).rstrip("._-")
        if not stem and rest and not _NO_SAMPLE.match(rest):
            stem = rest
    sample = stem or gsm
    return CellFile(name, sample, gsm, kind, bool(_RAW.search(path))) if sample else None


@dataclass(frozen=True)
class SampleParts:
    """Files of one sample by kind, of one form, with the annotation where there is one."""

    sample: str
    gsm: str
    form: str
    files: Mapping[str, str]
    raw: bool = False

    @property
    def lacking(self) -> list[str]:
        """Kinds without which the counts cannot be read."""
        if self.form == "10x" and "h5" not in self.files:
            return [kind for kind in ("mtx", "barcodes", "features") if kind not in self.files]
        kind = {"dem": "dem", "table": "table"}.get(self.form, "")
        return [kind] if kind and kind not in self.files else []


def group_files(names: Iterable[str], form: str = "auto") -> list[SampleParts]:
    """Join files to samples.

    Parameters
    ----------
    names : iterable of str
        Paths; what is no single-cell file is passed over.
    form : {"auto", "dem", "10x", "table"}
        Which form to take; auto: dem and 10x files, and tables only where there is neither.

    Returns
    -------
    list of SampleParts
        Sorted by sample. Of an unfiltered and a filtered matrix of a sample the filtered one is taken; of ``.h5`` and
        ``.mtx`` the ``.h5``.

    Raises
    ------
    InputError
        Two files of one kind for a sample.
    """
    files = [file for name in sorted(names) if (file := cell_file(name)) is not None]
    samples: dict[str, list[CellFile]] = {}
    for file in _told_apart(files):
        samples.setdefault(file.sample, []).append(file)
    counted = any(file.kind != "table" for file in files)
    tables = form == "table" or (form == "auto" and not counted)
    groups = []
    for sample in sorted(samples):
        group = _group(sample, samples[sample], form, tables)
        if group is not None:
            groups.append(group)
    return groups


def _told_apart(files: list[CellFile]) -> list[CellFile]:
    """Samples of the same name under several accessions get the accession back (their .dem and .anno always differ)."""
    owners: dict[tuple[str, str], set[str]] = {}
    for file in files:
        owners.setdefault((file.sample, file.kind), set()).add(file.gsm)
    shared = {sample for (sample, kind), gsms in owners.items() if len(gsms) > 1 and kind not in {"dem", "anno"}}
    return [
        replace(file, sample=f"{file.gsm}_{file.sample}") if file.sample in shared and file.gsm else file
        for file in files
    ]


def _group(sample: str, files: list[CellFile], form: str, tables: bool) -> SampleParts | None:
    kinds = {file.kind for file in files}
    asked = form
    if form == "auto":
        asked = "table" if tables else "10x" if kinds & {"mtx", "h5", "barcodes", "features"} else "dem"
    wanted = {"dem": {"dem"}, "10x": {"h5", "mtx", "barcodes", "features"}, "table": {"table"}}[asked]
    own = [file for file in files if file.kind in wanted]
    if asked == "10x":
        filtered = [file for file in own if not file.raw]
        complete = {file.kind for file in filtered}
        own = filtered if "h5" in complete or "mtx" in complete else own
        if any(file.kind == "h5" for file in own):
            own = [file for file in own if file.kind == "h5"]
    annotation = [file for file in files if file.kind == "anno"]
    parts: dict[str, str] = {}
    for file in [*own, *annotation]:
        if file.kind in parts:
            named = ".anno" if file.kind == "anno" else f".{file.kind}" if file.kind == "dem" else file.kind
            raise InputError(f"sample {sample!r} has two {named} files: {parts[file.kind]} and {file.name}; remove one")
        parts[file.kind] = file.name
    if not parts or (not own and asked != "dem"):
        return None
    gsm = next((file.gsm for file in own if file.gsm), next((file.gsm for file in files if file.gsm), ""))
    return SampleParts(sample, gsm, asked, parts, any(file.raw for file in own))
