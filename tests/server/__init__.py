"""A server on loopback that speaks as the services do, faults included.

``with FixtureServer(root) as server:`` serves the files below ``root`` at ``server.url``: Range, If-Range, ETag,
Last-Modified, HEAD and index pages, as GEO's. ``handlers`` answer before the files (the API of GDC, say);
``server.faults.add("*/a.txt.gz", "cut", at=1000)`` spoils answers; ``server.log`` tells what was asked.
"""

from __future__ import annotations

from server.faults import Faults
from server.http_server import FixtureServer
from server.messages import Handler, Logged, Request, Response

__all__ = ["Faults", "FixtureServer", "Handler", "Logged", "Request", "Response"]
