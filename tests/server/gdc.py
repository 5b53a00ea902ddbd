"""The GDC API over a folder: files.json, cases.json and data/<uuid>/<name>, or one such folder per project."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from server.messages import Request, Response

Hit = dict[str, Any]


class GdcApi:
    """Handler of a :class:`~server.http_server.FixtureServer`.

    Attributes
    ----------
    folder : Path
    prefix : str
        Path of the API on the server, such as ``/gdc``.
    release : str
        What ``/status`` says.
    largest : int
        Most hits of a page, whatever is asked.
    more : list of (tarfile.TarInfo, bytes)
        Further members at the front of each archive.
    added : list of dict
        Files that appear in the list once its first page was sent.
    """

    def __init__(self, folder: Path | str, prefix: str = "", release: str = "Data Release 45.0 - December 04, 2025"):
        self.folder, self.prefix, self.release = Path(folder), prefix, release
        self.largest = 10_000
        self.more: list[tuple[tarfile.TarInfo, bytes]] = []
        self.added: list[Hit] = []
        self._late: list[Hit] = []

    def __call__(self, request: Request) -> Response | None:
        if not request.path.startswith(f"{self.prefix}/"):
            return None
        name, _, rest = request.path.removeprefix(f"{self.prefix}/").removeprefix("v0/").partition("/")
        if name == "status":
            found = {"commit": "0" * 40, "data_release": self.release, "status": "OK", "tag": "8.5.0", "version": 1}
            return Response.json(found)
        if name in ("files", "cases"):
            return self._list(name, request)
        if name in ("data", "manifest"):
            return self._files(name, rest, request)
        return None

    # Lists -----------------------------------------------------------------------------------------------

    def _hits(self, name: str) -> list[Hit]:
        lists = sorted([*self.folder.glob(f"{name}.json"), *self.folder.glob(f"*/{name}.json")])
        hits = [hit for path in lists for hit in json.loads(path.read_text(encoding="utf-8"))["data"]["hits"]]
        return hits + (self._late if name == "files" else [])

    def _list(self, name: str, request: Request) -> Response:
        asked: Mapping[str, Any] = {key: values[-1] for key, values in request.query.items()}
        if request.method == "POST":
            try:
                asked = request.json()
            except ValueError:
                return _error(400, "the body is not JSON")
        try:
            filters = asked.get("filters")
            filters = json.loads(filters) if isinstance(filters, str) else filters
            hits = [hit for hit in self._hits(name) if filters is None or _holds(filters, hit, name)]
            start, size = int(asked.get("from", 0)), min(int(asked.get("size", 10)), self.largest)
        except (ValueError, KeyError, TypeError) as error:
            return _error(400, f"invalid request: {error}")
        field, _, way = str(asked.get("sort") or "").partition(":")
        if field:
            hits.sort(key=lambda hit: str(next(_values(hit, field), "")), reverse=way == "desc")
        page = hits[start : start + size]
        fields, expand = (_words(asked.get(key)) for key in ("fields", "expand"))
        identifier = "file_id" if name == "files" else "case_id"
        shown = [
            {"id": hit.get(identifier), **(_pick(hit, fields) if fields else _without(hit, expand))} for hit in page
        ]
        if name == "files" and self.added:
            self._late, self.added = [*self._late, *self.added], []
        pagination = {
            "count": len(page),
            "total": len(hits),
            "size": size,
            "from": start,
            "sort": asked.get("sort") or "",
            "page": start // size + 1 if size else 1,
            "pages": -(-len(hits) // size) if size else 0,
        }
        return Response.json({"data": {"hits": shown, "pagination": pagination}, "warnings": {}})

    # Files -----------------------------------------------------------------------------------------------

    def _files(self, name: str, rest: str, request: Request) -> Response:
        if request.method == "POST":
            try:
                ids = list(request.json()["ids"])
            except (ValueError, KeyError, TypeError):
                return _error(400, "a list ids is expected")
        else:
            ids = [item for item in (rest or ",".join(request.query.get("ids", []))).split(",") if item]
        known = {hit["file_id"]: hit for hit in self._hits("files")}
        if not ids or any(item not in known for item in ids):
            return _error(404, f"no such file: {', '.join(item for item in ids if item not in known)}")
        hits = [known[item] for item in ids]
        manifest = "".join(
            "\t".join([hit["file_id"], hit["file_name"], hit["md5sum"], str(hit["file_size"]), "released"]) + "\n"
            for hit in hits
        )
        manifest = f"id\tfilename\tmd5\tsize\tstate\n{manifest}"
        if name == "manifest":
            return Response(200, manifest.encode(), headers={"Content-Type": "text/tab-separated-values"})
        if any(hit.get("access") == "controlled" for hit in hits):
            return _error(403, "Your token is invalid or expired. Please get a new token from GDC Data Portal.")
        if len(hits) == 1:
            path = self._path(hits[0])
            tag = hashlib.md5(path.read_bytes()).hexdigest()
            headers = {"Content-Disposition": f"attachment; filename={path.name}", "ETag": f'"{tag}"'}
            return Response(200, path=path, headers=headers, ranges=True)
        archive = self._archive(hits, manifest)
        kind = "tar" if "tarfile" in request.query else "tar.gz"
        headers = {"Content-Disposition": f"attachment; filename=gdc_download.{kind}"}
        body = archive if kind == "tar" else gzip.compress(archive, compresslevel=1, mtime=0)
        return Response(200, body, headers={**headers, "Content-Type": "application/octet-stream"})

    def _path(self, hit: Hit) -> Path:
        place = Path("data") / hit["file_id"] / hit["file_name"]
        return next(path for path in (self.folder / place, *self.folder.glob(f"*/{place}")) if path.is_file())

    def _archive(self, hits: Iterable[Hit], manifest: str) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(mode="w", fileobj=buffer) as archive:
            for member, content in self.more:
                archive.addfile(member, io.BytesIO(content))
            for hit in hits:
                member = tarfile.TarInfo(f"{hit['file_id']}/{hit['file_name']}")
                content = self._path(hit).read_bytes()
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            member = tarfile.TarInfo("MANIFEST.txt")
            member.size = len(manifest.encode())
            archive.addfile(member, io.BytesIO(manifest.encode()))
        return buffer.getvalue()


def _error(status: int, message: str) -> Response:
    return Response.json({"message": message}, status)


def _words(value: Any) -> list[str]:
    return [word for word in (value if isinstance(value, list) else str(value or "").split(",")) if word]


def _values(value: Any, field: str) -> Iterator[Any]:
    """Values at a dotted path, through lists."""
    key, _, rest = field.partition(".")
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) and key in item:
            if rest:
                yield from _values(item[key], rest)
            else:
                yield from item[key] if isinstance(item[key], list) else [item[key]]


def _holds(filters: Mapping[str, Any], hit: Hit, name: str) -> bool:
    operator, content = filters["op"], filters["content"]
    if operator in ("and", "or"):
        return (all if operator == "and" else any)(_holds(part, hit, name) for part in content)
    if operator not in ("in", "=", "exclude", "!="):
        raise ValueError(f"unknown operator {operator!r}")
    wanted = content["value"] if isinstance(content["value"], list) else [content["value"]]
    found = list(_values(hit, str(content["field"]).removeprefix(f"{name}.")))
    return any(value in wanted for value in found) == (operator in ("in", "="))


def _pick(value: Any, fields: list[str]) -> Any:
    """Only the fields that were asked for."""
    if isinstance(value, list):
        return [_pick(item, fields) for item in value]
    if not isinstance(value, dict):
        return value
    picked: Hit = {}
    for key in value:
        below = [field.partition(".")[2] for field in fields if field.partition(".")[0] == key]
        if below:
            picked[key] = value[key] if "" in below else _pick(value[key], below)
    return picked


def _without(hit: Hit, expand: list[str]) -> Hit:
    """Plain fields, and the groups that were asked for."""
    return {key: value for key, value in hit.items() if not isinstance(value, dict | list) or key in expand}
