"""The samples of an atlas below a folder, whatever the form of their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from amlprognosis.errors import InputError
from amlprognosis.retrieve.cell_files import SampleParts, group_files

_TIMEPOINT = re.compile(r"^(?P<patient>.+?)-(?P<timepoint>D\d+)$")
_SORTED = re.compile(r"^(?P<patient>.+?)-(?:34p(?:38n)?)$")  # CD34+ (CD38-) sorted part of the same donor


@dataclass(frozen=True)
class SampleFiles:
    """The files of one sample.

    Attributes
    ----------
    sample : str
        Name after the GSM prefix, for example ``AML328-D0``.
    gsm : str
        GEO accession of the counts (of the annotation where there are none); ``""`` if unnamed.
    form : {"dem", "10x", "table"}
        Form of the counts.
    files : mapping of str to Path
        By kind: dem; mtx, barcodes, features; h5; table; and anno.
    folder : Path
        The folder that was searched (named in messages).
    raw : bool
        An unfiltered 10x matrix.
    """

    sample: str
    gsm: str
    form: str = "dem"
    files: Mapping[str, Path] = field(default_factory=dict)
    folder: Path = Path()
    raw: bool = False

    @property
    def dem(self) -> Path | None:
        """Count table; None where the folder has none."""
        return self.files.get("dem")

    @property
    def anno(self) -> Path | None:
        """Annotation; None where the folder has none."""
        return self.files.get("anno")

    @property
    def lacking(self) -> list[str]:
        """Kinds of files without which there are no counts."""
        return SampleParts(self.sample, self.gsm, self.form, {kind: "" for kind in self.files}).lacking

    def missing_matrix(self, relative: bool = False) -> str:
        """Say which file was expected where; relative to the searched folder if asked (for reports)."""

        def shown(path: Path) -> Path:
            return path.relative_to(self.folder) if relative and path.is_relative_to(self.folder) else path

        if self.form == "10x":
            there = ", ".join(str(shown(path)) for path in self.files.values())
            return f"no {' and no '.join(self.lacking)} file (there are {there})"
        pattern = Path(f"**/GSM*_{self.sample}.dem.txt.gz")
        pattern = pattern if relative else self.folder / pattern
        return f"no count table {pattern}" + (f" (its annotation is {shown(self.anno)})" if self.anno else "")


def patient_and_timepoint(sample: str) -> tuple[str, str | None]:
    """Split a sample's name: ``AML328-D0`` is patient ``AML328`` on day ``D0``; ``BM5-34p`` is donor ``BM5``."""
    if match := _TIMEPOINT.match(sample):
        return match["patient"], match["timepoint"]
    if match := _SORTED.match(sample):
        return match["patient"], None
    return sample, None


def discover_samples(folder: str | Path, form: str = "auto") -> list[SampleFiles]:
    """Find the samples of an atlas below a folder, in GEO's layout or flat.

    Parameters
    ----------
    folder : str or Path
        Searched recursively for ``[GSM..._]<sample>.dem.txt[.gz]`` with ``.anno.txt[.gz]``, 10x matrices
        (``matrix.mtx``, ``barcodes.tsv``, ``features.tsv`` or ``genes.tsv``; ``.h5``) and ``GSM..._<sample>`` tables.
    form : {"auto", "dem", "10x", "table"}
        Which form to take (see :func:`amlprognosis.retrieve.cell_files.group_files`).

    Returns
    -------
    list of SampleFiles
        Sorted by sample. A sample known by its annotation alone has ``dem=None``.

    Raises
    ------
    InputError
        No such folder, no such files, or two files of one kind for the same sample.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; it should hold the .dem.txt.gz and .anno.txt.gz or 10x files")
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    try:
        groups = group_files([name for name in paths if not Path(name).name.startswith(".")], form)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    if not groups:
        wanted = {"10x": "matrix.mtx.gz or .h5", "table": "GSM*.csv.gz or .txt.gz"}.get(
            form, "*.dem.txt.gz or *.anno.txt.gz, *.mtx.gz or *.h5"
        )
        raise InputError(f"{folder}: no {wanted} file in it or below it")
    return [
        SampleFiles(
            group.sample, group.gsm, group.form, {k: paths[v] for k, v in group.files.items()}, folder, group.raw
        )
        for group in groups
    ]
