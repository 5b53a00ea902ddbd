"""Servers at their worst: whatever they do, a download gives the right bytes or one error that names the address."""

from __future__ import annotations

import gzip
import hashlib
import random
import shutil
import urllib.parse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import FixtureServer

from amlprognosis.errors import InputError
from amlprognosis.retrieve import web
from amlprognosis.retrieve.download import Wanted, fetch_all
from amlprognosis.retrieve.listing import parse_index
from amlprognosis.study.sources import Retrieval

VERSIONS = [gzip.compress(random.Random(seed).randbytes(5000), mtime=0) for seed in range(2)]
# Of headers: Latin-1 with its superscript digits.
PRINTED = st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=("Cc",))
FAULT = st.one_of(
    st.tuples(st.sampled_from(["500", "503", "429", "html", "half", "no_range", "content", "404"]), st.just({})),
    st.tuples(st.just("cut"), st.fixed_dictionaries({"at": st.integers(0, 5200)})),
    st.tuples(st.just("length"), st.fixed_dictionaries({"more": st.integers(1, 5000)})),
    st.tuples(st.just("503"), st.fixed_dictionaries({"retry_after": st.text(PRINTED, max_size=8)})),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    (folder / "files").mkdir()
    with FixtureServer(folder / "files") as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "pause", lambda seconds, stop: None)
        yield server, folder


def told(work):
    """The words of an error, or the result."""
    try:
        return "", work()
    except InputError as error:
        return str(error), None


@settings(suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture])
@given(
    runs=st.lists(st.lists(FAULT, max_size=4), min_size=1, max_size=3),
    changes=st.integers(0, 2),
    md5=st.booleans(),
    attempts=st.integers(1, 5),
)
def test_faults_in_any_order_never_give_a_wrong_file(place, runs, changes, md5, attempts):
    server, folder = place
    for name in ("cache", "out"):
        shutil.rmtree(folder / name, ignore_errors=True)
    server.faults.clear()
    file = server.root / "a.txt.gz"
    retrieval = Retrieval(cache=str(folder / "cache"), attempts=attempts, connections=1)
    url = f"{server.url}/a.txt.gz"
    for number, faults in enumerate([*runs, []]):
        version = VERSIONS[1 if changes and number >= changes else 0]
        if not file.exists() or file.read_bytes() != version:
            file.write_bytes(version)
        for kind, options in faults:
            server.faults.add("/a.txt.gz", kind, **options)
        wanted = Wanted(url, folder / "out" / "a.txt.gz", md5=hashlib.md5(version).hexdigest() if md5 else None)
        said, record = told(lambda wanted=wanted: fetch_all([wanted], retrieval)[0])
        if record is None:
            assert url in said or str(wanted.destination) in said
            assert not wanted.destination.exists()
            assert faults, "no fault, no error"
        else:
            # (A changed byte is seen without a published checksum, too, because the file is a gzip file.)
            got = wanted.destination.read_bytes()
            assert got == version
            assert record.sha256 == hashlib.sha256(got).hexdigest()
            wanted.destination.unlink()
        server.faults.clear()


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=12),
        max_size=6,
        unique=True,
    ),
    st.text(max_size=80),
)
def test_index_pages_give_the_names_or_an_error(tmp_path_factory, names, noise):
    address = "http://127.0.0.1/a b/c/"
    links = [f'<a href="{urllib.parse.quote(name)}">{noise}</a>' for name in names]
    said, found = told(lambda: parse_index("<html><a href='../'>up</a>" + "\n".join(links), address))
    assert address in said if found is None else set(found) <= set(names) or "<" in noise
    if "<" not in noise and "&" not in noise:
        assert found == sorted(name for name in names if name not in (".", ".."))
