"""Which published signatures there are: the tables of ``resources/signatures``, by name and label."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "resources" / "signatures"
_LABEL = "# label:"


def signature_path(name: str) -> Path:
    """Path of a published signature's table."""
    return FOLDER / f"{name}.tsv"


def signature_label(path: str | Path) -> str:
    """How reports call a signature: the comment line ``# label: ...`` of its table, else the file's stem."""
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if line.startswith(_LABEL) and line[len(_LABEL) :].strip():
                    return line[len(_LABEL) :].strip()
    except (OSError, UnicodeDecodeError):
        # Whoever reads the weights says what is wrong with the file.
        pass
    return Path(path).stem


def published_signatures(folder: Path = FOLDER) -> dict[str, str]:
    """Label of each table by its stem, LSC17 first."""
    tables = sorted(folder.glob("*.tsv"), key=lambda path: (path.stem != "lsc17", path.stem))
    return {path.stem: signature_label(path) for path in tables}
