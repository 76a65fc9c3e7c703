"""One file over HTTP, into the store: resumed, checked, and there as a whole or not at all.

The bytes go to `.NAME.part`, beside a note of what they are part of. Only when they have the
publisher's digest do they get the file's name. A server may say and send what it likes: it is
believed in nothing but the digest, and how much it may send is bounded.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from phosphene import lock
from phosphene.errors import PhospheneError
from phosphene.models.part import Part, written
from phosphene.models.pull import Published, digest_of, right, store

CHUNK = 2**16
REDIRECTS = 5
PAUSES = (1.0, 2.0, 4.0)  # s before it is tried again
TRIES = 20  # at most, even if each one brings some bytes
SLOWEST = 1024  # bytes per timeout: what brings less has stalled
AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Step:
    """How far it is; `total` is 0 while nobody knows it."""

    done: int
    total: int
    note: str = ""


class CutOffError(Exception):
    """The transfer ended early, and may be tried again."""


class Redirects(urllib.request.HTTPRedirectHandler):
    """Few, and never from the encrypted to the plain."""

    max_redirections = max_repeats = REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old, new) == ("https", "http"):
            if fp:
                fp.close()
            raise refused(req.full_url, f"leads to {newurl[:200]!r}", "an https address; try another --url")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


HANDLERS = (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.UnknownHandler,
    Redirects,
)


def pull(
    entry: Published, url: str = "", *, timeout: float = 30.0, pauses: tuple[float, ...] = PAUSES
) -> Iterator[Step]:
    """Download `entry` (from `url` in place of its publisher's) to the store, unless it is there by then.

    Another process that does the same is waited for. Errors: E_DOWNLOAD, E_DISK, E_OUTPUT, E_PARAM.
    What has arrived when it ends early is kept, and gone on from the next time.
    """
    url = url or entry.url
    try:
        fine = urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
    except ValueError:
        fine = False
    if not fine or not url.isascii() or not url.isprintable() or " " in url:
        raise no_address(url)
    target = store() / entry.file
    with written(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    waited = False
    while (held := _lock(target)) is None:
        if not waited:
            yield Step(0, entry.size, f"another phosphene is downloading {entry.file}; waiting for it")
        waited = True
        time.sleep(0.1)
    try:
        if not right(target, entry):
            yield from _transferred(entry, url, Part(target), timeout, pauses)
    finally:
        os.close(held)


def _lock(target: Path) -> int | None:
    with written(target):
        return lock.taken(target.with_name(f".{target.name}.lock"))


def _transferred(
    entry: Published, url: str, part: Part, timeout: float, pauses: tuple[float, ...]
) -> Iterator[Step]:
    """Every byte of `url` in its place, after as many tries as it takes and as there may be."""
    failures = 0
    for _ in range(TRIES):
        before = part.begun(url)[0]
        try:
            with written(part.target):
                yield from _attempt(entry, url, part, timeout)
            break
        except CutOffError as cut:
            now = part.begun(url)[0]
            failures = 0 if now > before else failures + 1
            if failures >= len(pauses):
                here = f"; {now / 1e6:.1f} MB are kept: the same command goes on from there" if now else ""
                raise refused(url, str(cut), f"the whole file{here or '; try again later'}") from None
            yield Step(now, entry.size, f"{cut}; trying again")
            time.sleep(pauses[failures])
    else:
        raise refused(url, f"cut off {TRIES} times", "the whole file; the same command goes on")
    _verify(entry, url, part)
    with written(part.target):
        part.publish()


def _attempt(entry: Published, url: str, part: Part, timeout: float) -> Iterator[Step]:
    """One request for what is missing; `CutOffError` where that ends early."""
    have, version, total = part.begun(url)
    if total and have == total:
        return
    if have and not (version or entry.digest):
        have = 0
    with _opened(url, have, version, timeout, part) as response:
        have, total = _agreed(response, url, have, entry, part)
        free = shutil.disk_usage(part.target.parent).free
        if total - have > free:
            raise PhospheneError(
                "E_DISK",
                f"{part.target.parent} has {free / 1e6:.0f} MB free, expected {(total - have) / 1e6:.0f} MB "
                "for the download; make room",
            )
        with part.file.open("ab", buffering=0) as file:
            for data in _chunks(response, timeout):
                file.write(data)
                have += len(data)
                if have > min(entry.most, total or entry.most):
                    part.drop()
                    raise refused(
                        url,
                        f"sends more than {have} bytes",
                        f"{_size(entry)}; it was deleted; try another --url",
                    )
                yield Step(have, total or entry.size)
    if have < total:
        raise CutOffError(f"the server cut off at {have / 1e6:.1f} of {total / 1e6:.1f} MB")


def _opened(url: str, have: int, version: str, timeout: float, part: Part) -> Any:
    """The answer to a request for all but the first `have` bytes; its troubles as errors of ours."""
    headers = {"User-Agent": "phosphene", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})
    opener = urllib.request.OpenerDirector()
    for handler in HANDLERS:
        opener.add_handler(handler())
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        said = f"the server answers {error.code} ({str(error.reason)[:100]})"
        if error.code == 416:  # nothing comes after what we have: it is no part of this
            part.drop()
        if error.code in (416, *AGAIN):
            raise CutOffError(said) from None
        raise refused(url, said, "the file; try another --url") from None
    except (ValueError, http.client.InvalidURL):
        raise no_address(url) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", "") or error or type(error).__name__
        raise CutOffError(f"no answer ({str(reason)[:200]})") from None


def _agreed(response: Any, url: str, have: int, entry: Published, part: Part) -> tuple[int, int]:
    """How much of the file is here already, as the answer goes on from there, and how large it is."""
    encoding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding != "identity":
        raise refused(url, f"sends it as {encoding[:40]!r}", "the file as it is; try another --url")
    if response.status == 206 and have:
        said = re.fullmatch(
            r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)",
            (response.headers.get("Content-Range") or "").strip(),
        )
        if not said or int(said[1]) != have or int(said[2]) < have:
            part.drop()
            raise CutOffError("the server doesn't go on where it was asked to")
        total = int(said[2]) + 1 if said[3] == "*" else int(said[3])
    elif response.status == 200:
        have, total = 0, response.length or 0
    else:
        raise refused(url, f"the server answers {response.status}", "the file; try another --url")
    if total > entry.most or (total and entry.size and total < entry.size * 0.99 - 4096):
        part.drop()
        raise refused(url, f"has {total} bytes", f"{_size(entry)}; try another --url")
    if not have:
        etag = response.headers.get("ETag") or ""
        strong = etag if etag.startswith('"') else response.headers.get("Last-Modified") or ""
        part.begin(url, strong, total)
    return have, total


def _chunks(response: Any, timeout: float) -> Iterator[bytes]:
    """The body as it comes; `CutOffError` if hardly anything does."""
    since, got = time.monotonic(), 0
    while data := _read(response):
        yield data
        got += len(data)
        now = time.monotonic()
        if now - since > timeout:
            if got < SLOWEST:
                raise CutOffError(f"the server sent {got} bytes in {timeout:.0f} s")
            since, got = now, 0


def _read(response: Any) -> bytes:
    try:
        data: bytes = response.read1(CHUNK)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise CutOffError(f"the connection broke ({str(error)[:200] or type(error).__name__})") from None
    return data


def _verify(entry: Published, url: str, part: Part) -> None:
    """The digest, and the size where no digest is published; what is wrong is deleted."""
    found, size = digest_of(part.file, entry.algorithm or "sha256"), part.file.stat().st_size
    too_short = entry.size and size < entry.size * 0.99 - 4096
    if not found.startswith(entry.digest) or too_short:
        part.drop()
        shown = found[: max(16, len(entry.digest))]
        raise refused(
            url,
            f"gave {size} bytes with the digest {shown}…",
            f"{_size(entry)}, {entry.digest_words}; it was deleted; try again, or another --url",
        )


def _size(entry: Published) -> str:
    return f"about {entry.size} bytes" if entry.size else f"at most {entry.most} bytes"


def refused(url: str, got: str, expected: str) -> PhospheneError:
    return PhospheneError("E_DOWNLOAD", f"{url[:300]}: {got}, expected {expected}")


def no_address(url: str) -> PhospheneError:
    return PhospheneError("E_PARAM", f"--url is {url[:200]!r}, expected an http or https address")
