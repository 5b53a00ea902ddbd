"""Names in a folder: on disk, or on the index page of a server (GEO, Apache, nginx)."""

from __future__ import annotations

import html.parser
import json
import urllib.parse
from pathlib import Path

from amlprognosis.errors import InputError
from amlprognosis.retrieve.address import is_remote, local_path
from amlprognosis.retrieve.cache import Slot
from amlprognosis.retrieve.records import Wanted
from amlprognosis.retrieve.web import read_whole
from amlprognosis.study.sources import Retrieval


def list_folder(url: str, settings: Retrieval | None = None) -> list[str]:
    """Names in a folder.

    Parameters
    ----------
    url : str
        A local folder, ``file://``, or a http(s) URL whose answer is an index page.
    settings : Retrieval, optional
        Offline, the page of the last time is used, if it is in the cache.

    Returns
    -------
    list of str
        Sorted; sub-folders end with ``/``.

    Raises
    ------
    InputError
        No such folder, or a page that is no index.
    """
    settings = settings or Retrieval()
    if not is_remote(url):
        folder = Path(local_path(url))
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        return sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    address = url.rstrip("/") + "/"
    slot = Slot(settings.cache, Wanted(address, Path("listing")))
    with slot.locked():
        if settings.offline:
            if slot.load() is None:
                raise InputError(
                    f"{address}: the list of its files is not in the cache, and retrieval.offline is set; set it to "
                    "false once"
                )
            return list(json.loads(slot.data.read_text(encoding="utf-8")))
        names = parse_index(read_whole(address, settings).decode("utf-8", "replace"), address)
        slot.keep(json.dumps(names))
    return names


class _Links(html.parser.HTMLParser):
    """Collects the targets of links."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href" and value]


def parse_index(page: str, address: str) -> list[str]:
    """Names that an index page links to, straight below its address.

    Links to sort the page (``?C=M``), to the folder above and to other places are no names.

    Raises
    ------
    InputError
        The page has no links at all.
    """
    links = _Links()
    links.feed(page)
    if not links.targets:
        raise InputError(f"{address}: not an index page; this server does not list its folders")
    names = set()
    own = urllib.parse.urlsplit(address)
    for target in links.targets:
        try:
            found = urllib.parse.urlsplit(urllib.parse.urljoin(address, target.strip()))
        except ValueError:
            continue
        inside = found.netloc == own.netloc and found.path.startswith(own.path)
        name = found.path.removeprefix(own.path)
        if inside and name and not found.query and "/" not in name.rstrip("/"):
            names.add(urllib.parse.unquote(name))
    return sorted(names)
