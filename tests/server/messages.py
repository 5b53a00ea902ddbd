"""Questions and answers of the fixture server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """A question.

    Attributes
    ----------
    method : str
        GET, HEAD or POST.
    path : str
        Path of the URL, decoded, without the query.
    query : dict of str to list of str
    headers : mapping
        Case-insensitive.
    body : bytes
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """An answer: a body in memory, or a file.

    Attributes
    ----------
    ranges : bool
        Whether a part may be asked for (answered by 206).
    """

    status: int = 200
    body: bytes = b""
    path: Path | None = None
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = False

    @classmethod
    def json(cls, content: Any, status: int = 200, **headers: str) -> Response:
        """An answer in JSON."""
        return cls(status, json.dumps(content).encode(), headers={"Content-Type": "application/json", **headers})

    @classmethod
    def file(cls, body: bytes, name: str = "", **headers: str) -> Response:
        """A file in memory, with Range and an ETag made from its content."""
        named = {"Content-Disposition": f"attachment; filename={name}"} if name else {}
        kind = {"Content-Type": "application/octet-stream", "ETag": f'"{hashlib.md5(body).hexdigest()}"'}
        return cls(200, body, headers={**kind, **named, **headers}, ranges=True)

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.body) if self.path is None else self.path.stat().st_size


Handler = Callable[[Request], "Response | None"]


@dataclass(frozen=True)
class Logged:
    """A question and how it was answered.

    Attributes
    ----------
    range : str
        Range of the question; empty: none.
    status : int
        Of the answer.
    fault : str
        Kind of the fault that spoiled it; empty: none.
    headers : dict
        All headers of the question.
    """

    method: str
    path: str
    query: str
    range: str
    status: int
    fault: str
    headers: dict[str, str]
    body: bytes

    @property
    def if_range(self) -> str:
        """If-Range of the question."""
        return self.headers.get("If-Range", "")
