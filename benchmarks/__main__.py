"""Run benchmarks and print their table: ``python -m benchmarks [case ...]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.cases import CASES, available
from benchmarks.measure import Found, markdown


def main() -> int:
    """Run the cases named, or all; status 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="case", help=f"some of {', '.join(CASES)}; all when left out")
    parser.add_argument("--repeats", type=int, default=3, help="counted runs, at least 3")
    parser.add_argument("--threads", type=int, default=2, help="threads of the runs with several")
    parser.add_argument("--out", type=Path, help="write the table to this Markdown file, too")
    words = parser.parse_args()
    unknown = [name for name in words.cases if name not in CASES]
    if unknown:
        parser.error(f"{unknown[0]!r} is no case; known are {', '.join(CASES)}")
    found: list[Found] = []
    for name in words.cases or CASES:
        if not available(name):
            print(f"{name}: left out, its data (../shared) are not there")
            continue
        print(f"{name} ...", flush=True)
        found.append(CASES[name](words.repeats, words.threads))
    table = markdown(found, words.repeats)
    print(f"\n{table}")
    if words.out:
        words.out.write_text(table, encoding="utf-8")
    return 1 if any(row.met is False for part in found for row in part.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
