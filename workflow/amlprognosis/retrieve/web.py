"""Asking a server: sessions, time-outs, what its answers and faults mean, and new attempts.

A fault is one of three: :class:`Passing` (busy, cut off, silent: a new attempt may do), :class:`Damaged` (an answer
that is not what was asked for: begun anew, twice at most) or an InputError (no attempt helps).
"""

from __future__ import annotations

import email.utils
import json
import logging
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import requests
import tenacity
import urllib3
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    ConnectTimeout,
    ProxyError,
    SSLError,
    Timeout,
    TooManyRedirects,
)

from amlprognosis import __version__
from amlprognosis.errors import InputError
from amlprognosis.retrieve.address import is_remote, local_path
from amlprognosis.retrieve.files import CHUNK, looks_like_html
from amlprognosis.study.sources import Retrieval

log = logging.getLogger(__name__)

# Statuses that may pass (RFC 9110; 425: RFC 8470; 429: RFC 6585).
PASSING = (408, 425, 429, 500, 502, 503, 504)
# A server may ask for more patience than this (Retry-After, seconds); then it is said that we do not wait so long.
LONGEST_WAIT = 300.0
# A server that gives less than SLOW_RATE bytes/s over SLOW_SECONDS is left, however steadily it drips; a new attempt
# goes on.
SLOW_SECONDS = 60.0
SLOW_RATE = 1024
# A server that does not even open a connection in this time is not waited for as long as one that prepares an answer.
CONNECT_SECONDS = 10.0
# An answer that is no data or has a wrong checksum is asked for this often again.
DAMAGED_AGAIN = 2

_local = threading.local()
_Result = TypeVar("_Result")


class Passing(Exception):
    """A fault after which a new attempt may do; ``wait`` seconds at least, if the server asks for it."""

    def __init__(self, what: str, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


class Unreachable(Passing):
    """There is no connection at all."""


class NoConnection(InputError):
    """No connection in any attempt: nothing else is worth asking there."""


class Damaged(Exception):
    """An answer that cannot be what was asked for."""


class Stopped(Exception):
    """Another file failed, or the user interrupts: this one is given up; what has come is kept."""


class MissingFile(InputError):
    """The server does not have it (404, 410)."""


class _Session(requests.Session):
    """Session that follows redirects, but neither to an open connection nor at the cost of the question asked."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        try:
            whole = urllib.parse.urljoin(resp.url, target).lower()
        except ValueError:
            resp.close()
            raise InputError(f"{resp.url}: redirects to {target!r}, which is no address; name another mirror") from None
        if resp.url.lower().startswith("https:") and whole.startswith("http:"):
            resp.close()
            raise InputError(f"{resp.url}: redirects from https to {target}, an open connection; name another mirror")
        if resp.request.method == "POST" and resp.status_code not in (307, 308):
            resp.close()
            raise InputError(f"{resp.url}: moved to {target}; name that place as base_url")
        return target


def _session() -> requests.Session:
    """The session of this thread, which keeps its connections."""
    if not hasattr(_local, "session"):
        session = _Session()
        session.max_redirects = 10
        session.headers["User-Agent"] = f"amlprognosis/{__version__} python-requests/{requests.__version__}"
        # Files are kept as they are: their sizes and checksums are those of the bytes sent.
        session.headers["Accept-Encoding"] = "identity"
        _local.session = session
    return _local.session  # type: ignore[no-any-return]


def hang_up() -> None:
    """Close the connections of this thread."""
    if hasattr(_local, "session"):
        _local.session.close()
        del _local.session


def pause(seconds: float, stop: threading.Event) -> None:
    """Wait, unless the work is stopped."""
    if stop.wait(seconds):
        raise Stopped


def ask(
    url: str,
    settings: Retrieval,
    *,
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> requests.Response:
    """Ask a server and read the head of its answer; the caller closes it.

    Raises
    ------
    Passing
        No connection, silence, or a status of :data:`PASSING`.
    InputError
        A faulty address or certificate, or any other status but 200, 206, 304 and 416.
    """
    if url.lower().startswith("ftp://"):
        raise InputError(f"{url}: ftp is not spoken; most servers give the same files by https://")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise InputError(
            f"{url.rpartition('@')[2]}: its address has a name or password in it, which would be written into "
            "PROVENANCE.json; put them into ~/.netrc"
        )
    try:
        response = _session().request(
            "GET" if body is None else "POST",
            url,
            json=None if body is None else dict(body),
            params=None if params is None else dict(params),
            headers=None if headers is None else dict(headers),
            stream=True,
            timeout=(min(CONNECT_SECONDS, settings.timeout_seconds), settings.timeout_seconds),
        )
    except SSLError as error:
        if "CERTIFICATE" in str(error).upper():
            raise InputError(
                f"{url}: the certificate of the server cannot be checked ({_root(error)}); behind a proxy with its own "
                "certificates name their file in the environment variable REQUESTS_CA_BUNDLE"
            ) from None
        raise Passing(f"no secure connection ({_root(error)})") from None
    except TooManyRedirects:
        raise InputError(f"{url}: redirected in a circle; name another place as base_url") from None
    except ProxyError as error:
        raise Unreachable(f"no connection by the proxy that HTTPS_PROXY or HTTP_PROXY names ({_root(error)})") from None
    except ConnectTimeout:
        seconds = min(CONNECT_SECONDS, settings.timeout_seconds)
        raise Unreachable(f"no connection (none within {seconds:g} s)") from None
    except Timeout:
        raise Passing(f"no answer within {settings.timeout_seconds:g} s") from None
    except (ConnectionError, ChunkedEncodingError) as error:
        raise Unreachable(f"no connection ({_root(error)})") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
        raise InputError(f"{url}: not an address that can be asked ({error})") from None
    if response.status_code in (200, 206, 304, 416):
        return response
    with response:
        raise _fault(url, response)


def _root(error: BaseException) -> str:
    """The cause at the bottom of an error, in a few words."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _fault(url: str, response: requests.Response) -> Exception:
    """What a status means."""
    status = response.status_code
    said = _message(response)
    if status in PASSING:
        return Passing(f"status {status}{said}", _retry_after(response.headers.get("Retry-After", "")))
    if status in (404, 410):
        return MissingFile(f"{url}: no such file on the server (status {status}{said})")
    if status in (401, 403):
        return InputError(
            f"{url}: the server refuses it (status {status}{said}): controlled access, which this workflow does not "
            "use, or a mirror or proxy that forbids it; name another place as base_url"
        )
    if status == 407:
        return InputError(
            f"{url}: the proxy asks for a password (status 407); set HTTPS_PROXY=http://user:password@..."
        )
    return InputError(f"{url}: status {status}{said}")


def _message(response: requests.Response) -> str:
    """What an error's body says (``message`` of JSON, as GDC writes it, or a short text), with a colon before it."""
    try:
        content = response.raw.read(1 << 16, decode_content=True)
    except (urllib3.exceptions.HTTPError, OSError):
        return ""
    if looks_like_html(content):
        return ""
    text = content.decode("utf-8", "replace")
    try:
        found = json.loads(text)
        text = str(found.get("message") or found.get("error") or text) if isinstance(found, dict) else text
    except ValueError:
        pass
    text = " ".join(text.split())
    return f": {text[:300]}" if text else ""


def _retry_after(value: str) -> float:
    """Seconds of a Retry-After header, which gives them or a date; 0 without one."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0


_backoff = tenacity.wait_exponential_jitter(initial=1, max=60, jitter=1)


def persist(work: Callable[[], _Result], url: str, settings: Retrieval, stop: threading.Event) -> _Result:
    """Do ``work``, as often as it takes and the settings allow, with growing waits between the attempts.

    Raises
    ------
    InputError
        Raised by ``work``, or it failed in every attempt.
    Stopped
        ``stop`` was set.
    """
    damaged = 0

    def enough(state: tenacity.RetryCallState) -> bool:
        nonlocal damaged
        damaged += isinstance(_error(state), Damaged)
        return state.attempt_number >= settings.attempts or damaged > DAMAGED_AGAIN

    def wait(state: tenacity.RetryCallState) -> float:
        return max(min(getattr(_error(state), "wait", 0.0), LONGEST_WAIT), _backoff(state))

    def say(state: tenacity.RetryCallState) -> None:
        error = _error(state)
        seconds = state.next_action.sleep if state.next_action else 0.0
        asked = getattr(error, "wait", 0.0)
        cap = f" (the server asks for {asked:.0f} s; {LONGEST_WAIT:.0f} s is the most)" if asked > LONGEST_WAIT else ""
        log.info(
            "%s: %s; attempt %d of %d in %.1f s%s",
            url, error, state.attempt_number + 1, settings.attempts, seconds, cap,
        )  # fmt: skip

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((Passing, Damaged)),
        stop=enough,
        wait=wait,
        before_sleep=say,
        sleep=lambda seconds: pause(seconds, stop),
        reraise=True,
    )
    try:
        return retrying(work)
    except Damaged as error:
        raise InputError(f"{url}: {error}") from None
    except Passing as error:
        count = retrying.statistics["attempt_number"]
        fault = f"{url}: {error}; given up after {count} {'attempt' if count == 1 else 'attempts'}. "
        if isinstance(error, Unreachable):
            raise NoConnection(
                f"{fault}Is this machine on the network (some nodes of clusters are not; behind a proxy set "
                "HTTPS_PROXY)? Name a mirror as base_url; or fetch elsewhere what retrieval.offline: true lists"
            ) from None
        raise InputError(
            f"{fault}Try again later (what has come is kept), name a mirror as base_url, or raise retrieval.attempts"
        ) from None


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def pieces(
    response: requests.Response, settings: Retrieval, stop: threading.Event, decode: bool = False
) -> Iterator[bytes]:
    """Body of an answer, in the pieces in which it comes.

    Raises
    ------
    Passing
        The connection is cut, or the server is silent or slower than :data:`SLOW_RATE`.
    Stopped
        ``stop`` was set.
    """
    since, received = time.monotonic(), 0
    while True:
        try:
            piece = response.raw.read1(CHUNK, decode_content=decode)
        except urllib3.exceptions.ReadTimeoutError:
            raise Passing(f"silent for {settings.timeout_seconds:g} s") from None
        except urllib3.exceptions.DecodeError as error:
            raise Damaged(f"its Content-Encoding cannot be undone ({error})") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Passing(f"the connection was cut ({_root(error)})") from None
        if not piece:
            return
        if stop.is_set():
            raise Stopped
        yield piece
        received += len(piece)
        now = time.monotonic()
        if now - since >= SLOW_SECONDS:
            if received < SLOW_RATE * (now - since):
                raise Passing(f"slower than {SLOW_RATE / 1024:g} KiB/s for {now - since:.0f} s")
            since, received = now, 0


def read_whole(url: str, settings: Retrieval, **question: Any) -> bytes:
    """Body of a small answer in memory, with the same attempts as a file; ``question`` as for :func:`ask`."""
    stop = threading.Event()

    def work() -> bytes:
        headers = {"Accept-Encoding": "gzip", **question.get("headers", {})}
        with ask(url, settings, **{**question, "headers": headers}) as response:
            if response.status_code != 200:
                raise InputError(f"{url}: status {response.status_code}, where 200 is expected")
            return b"".join(pieces(response, settings, stop, decode=True))

    return persist(work, url, settings, stop)


def request_json(
    url: str,
    settings: Retrieval | None = None,
    *,
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Any:
    """Answer of an API, in memory.

    Parameters
    ----------
    url : str
        A http(s) URL; a local path or ``file://`` is read as the answer.
    settings : Retrieval, optional
    body : mapping, optional
        Sent as JSON by POST; GET without.
    params : mapping, optional
        Query of the URL.

    Returns
    -------
    Any
        The decoded JSON.

    Raises
    ------
    InputError
        Offline, no answer, a refusal (with the service's own message), or an answer that is not JSON.
    """
    settings = settings or Retrieval()
    if not is_remote(url):
        try:
            with open(local_path(url), "rb") as stream:
                return json.load(stream)
        except OSError as error:
            raise InputError(f"{local_path(url)}: {error.strerror}") from None
        except ValueError as error:
            raise InputError(f"{local_path(url)}: not JSON ({error})") from None
    if settings.offline:
        raise InputError(f"{url}: has to be asked, but retrieval.offline is set; set it to false once")

    def work() -> Any:
        content = read_whole(url, settings, body=body, params=params, headers={"Accept": "application/json"})
        try:
            return json.loads(content)
        except ValueError:
            if looks_like_html(content):
                raise Damaged("a web page (HTML), not JSON: the server or proxy answered with a page") from None
            raise Damaged(f"not JSON but {content[:60]!r}") from None

    return persist(work, url, settings, threading.Event())
