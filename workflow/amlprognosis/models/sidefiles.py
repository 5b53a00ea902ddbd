"""Arrays in .skops files whose bytes depend on their content alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from amlprognosis.errors import InputError

# Only plain arrays are ever written; nothing a file asks for is trusted beyond this list.
TRUSTED_TYPES: tuple[str, ...] = ()
FIXED_DATE = (1980, 1, 1, 0, 0, 0)


def _renumber(content: Any, ids: dict[Any, int]) -> Any:
    """Replace memory addresses (``__id__``, names of array files) by their order of appearance."""
    if isinstance(content, dict):
        out: dict[str, Any] = {}
        for key, value in content.items():
            if key == "__id__":
                out[key] = ids.setdefault(str(value), len(ids))
            elif key == "file" and isinstance(value, str) and value.endswith(".npy"):
                out[key] = f"{ids.setdefault(value.removesuffix('.npy'), len(ids))}.npy"
            else:
                out[key] = _renumber(value, ids)
        return out
    if isinstance(content, list):
        return [_renumber(value, ids) for value in content]
    return content


def write_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write named arrays as a .skops file; equal arrays give equal bytes (fixed dates and object numbers)."""
    import skops.io

    raw = skops.io.dumps({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)})
    with zipfile.ZipFile(io.BytesIO(raw)) as source:
        ids: dict[Any, int] = {}
        schema = _renumber(json.loads(source.read("schema.json")), ids)
        members = {"schema.json": json.dumps(schema, sort_keys=True).encode()}
        for name in source.namelist():
            if name.endswith(".npy"):
                members[f"{ids[name.removesuffix('.npy')]}.npy"] = source.read(name)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, FIXED_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            target.writestr(info, members[name])


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what :func:`write_arrays` wrote.

    Raises
    ------
    InputError
        If the file is damaged or asks for types other than plain arrays.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        content = skops.io.load(path, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise InputError(f"{path}: asks for types that are not trusted ({error}); it was not written by us") from error
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable .skops file ({error}); restore the model's folder") from error
    if not isinstance(content, dict) or not all(isinstance(v, np.ndarray) for v in content.values()):
        raise InputError(f"{path}: holds something other than named arrays; it was not written by us")
    return content
