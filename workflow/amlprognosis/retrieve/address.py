"""Addresses: URLs and local paths, by the same functions."""

from __future__ import annotations

import urllib.parse
from pathlib import Path


def is_remote(location: str) -> bool:
    """Whether a location is a URL that needs the network."""
    return location.lower().startswith(("http://", "https://", "ftp://"))


def local_path(url: str) -> str:
    """Path behind a path or a ``file://`` URL."""
    if url.startswith("file://"):
        return urllib.parse.unquote(url.removeprefix("file://").removeprefix("localhost")) or "/"
    return url


def join(base: str, *parts: str) -> str:
    """Address of a file below a base URL or folder."""
    return "/".join([base.rstrip("/") or "/", *parts])


def exists(url: str) -> bool:
    """Whether a local file exists; remote files are found out when they are fetched."""
    return not is_remote(url) and Path(local_path(url)).is_file()
