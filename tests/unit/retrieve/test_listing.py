from __future__ import annotations

import pytest
from server import FixtureServer

from amlprognosis.errors import InputError
from amlprognosis.retrieve.download import list_folder
from amlprognosis.retrieve.listing import parse_index
from amlprognosis.study.sources import Retrieval

ADDRESS = "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE37nnn/GSE37642/matrix/"
# The two styles of https://ftp.ncbi.nlm.nih.gov/geo (since 2019), of Apache's mod_autoindex and of nginx.
NCBI = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /geo/series/GSE37nnn/GSE37642/matrix</title></head><body>
<h1>Index of /geo/series/GSE37nnn/GSE37642/matrix</h1>
<pre>Name              Last modified      Size  <hr><a href="/geo/series/GSE37nnn/GSE37642/">Parent Directory</a>
<a href="GSE37642-GPL570_series_matrix.txt.gz">GSE37642-GPL570_series_matrix.txt.gz</a>  2025-01-01 10:00   23M
<a href="GSE37642-GPL96_series_matrix.txt.gz">GSE37642-GPL96_series_matrix.txt.gz</a>   2025-01-01 10:00   29M
<hr></pre>
<a href="https://www.hhs.gov/vulnerability-disclosure-policy/index.html">HHS Vulnerability Disclosure</a>
</body></html>"""
TABLE = """<html><body><table><tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="../">Parent Directory</a></td></tr>
<tr><td><A HREF='sub%20folder/'>sub folder/</A></td></tr>
<tr><td><a href="./a%2Bb.txt">a+b.txt</a></td></tr>
<tr><td><a href="/geo/series/GSE37nnn/GSE37642/matrix/c.txt">c.txt</a></td></tr>
<tr><td><a href="c.txt">again</a><a name="x">no link</a><a href="#top">Top</a>
<a href="sub/deep.txt">deeper</a></td></tr>
<tr><td><a href="mailto:a@example.org">mail</a><a href="javascript:x()">js</a><a href="http://[x/">bad</a></td></tr>
</table></body></html>"""


def test_index_pages():
    names = ["GSE37642-GPL570_series_matrix.txt.gz", "GSE37642-GPL96_series_matrix.txt.gz"]
    assert parse_index(NCBI, ADDRESS) == names
    assert parse_index(TABLE, ADDRESS) == ["a+b.txt", "c.txt", "sub folder/"]
    with pytest.raises(InputError, match="not an index page"):
        parse_index("<html><body>Welcome</body></html>", ADDRESS)


def test_a_folder_is_listed_alike_on_disk_and_on_a_server(tmp_path, waits):
    root = tmp_path / "files"
    for name in ("series/GSE1/b 1.txt", "series/GSE1/a+b#c.txt", "series/GSE1/sub/c.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / "series/empty").mkdir()
    settings = Retrieval(cache=str(tmp_path / "cache"))
    offline = settings.model_copy(update={"offline": True})
    names = ["a+b#c.txt", "b 1.txt", "sub/"]
    assert list_folder(str(root / "series/GSE1")) == list_folder(f"file://{root}/series/GSE1/") == names
    with pytest.raises(InputError, match=r"none: no such folder"):
        list_folder(str(root / "none"))
    with FixtureServer(root) as server:
        url = f"{server.url}/series/GSE1"
        with pytest.raises(InputError, match=r"GSE1/: the list of its files is not in the cache"):
            list_folder(url, offline)
        server.faults.add("/series/GSE1/", "503")
        assert list_folder(url, settings) == names
        assert list_folder(f"{server.url}/series/empty/", settings) == []
        with pytest.raises(InputError, match="no such file on the server"):
            list_folder(f"{server.url}/series/none", settings)
    assert list_folder(url, offline) == names
