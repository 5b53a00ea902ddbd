"""Write files that are the same bytes in every run."""

from __future__ import annotations

import gzip
import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np


def write_text(path: Path, text: str) -> bytes:
    """Write UTF-8 text and return the bytes written."""
    data = text.encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


def write_gzip(path: Path, text: str | bytes, level: int = 5) -> bytes:
    """Write text gzipped, without time stamp or name in the header, and return the compressed bytes."""
    data = gzip.compress(text.encode("utf-8") if isinstance(text, str) else text, compresslevel=level, mtime=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def md5(data: bytes) -> str:
    """MD5 as the data portals give it (a checksum of transport, not a safeguard)."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def identifier(rng: np.random.Generator) -> str:
    """Return a random UUID that follows the seed."""
    return str(uuid.UUID(bytes=rng.bytes(16), version=4))


def fill(template: str, values: np.ndarray) -> str:
    """Fill a %-template with all values of an array, row by row; far faster than joining cells."""
    return template % tuple(values.ravel().tolist())
