"""Serve a folder by hand: ``python -m server --root DIR`` (in tests/)."""

from __future__ import annotations

import argparse
import importlib
import threading
from pathlib import Path

from server.http_server import FixtureServer


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m server", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of the files")
    parser.add_argument("--port", type=int, default=0, help="by default a free one")
    parser.add_argument(
        "--handler", action="append", default=[], metavar="MODULE:CLASS",
        help="API that is given the root, such as server.gdc:GdcApi",
    )  # fmt: skip
    parser.add_argument(
        "--fault", action="append", default=[], metavar="PATTERN=KIND[*TIMES]", help="such as '*.gz=503*2'"
    )
    parser.add_argument("--quiet", action="store_true", help="do not print each question")
    words = parser.parse_args()
    handlers = []
    for text in words.handler:
        module, _, name = text.partition(":")
        handlers.append(getattr(importlib.import_module(module), name)(words.root))
    with FixtureServer(words.root, handlers, port=words.port, echo=not words.quiet) as server:
        for text in words.fault:
            pattern, _, rest = text.rpartition("=")
            kind, _, times = rest.partition("*")
            server.faults.add(pattern, kind, int(times) if times else 1)
        print(server.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
