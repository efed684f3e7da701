"""The four files of MNIST: what they must look like, and whether they do."""

import gzip
import hashlib
import math
import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

ATTRIBUTION = "MNIST: Yann LeCun and Corinna Cortes, CC BY-SA 3.0"

SplitName = Literal["train", "test"]


class DataError(RuntimeError):
    """Data are missing, damaged or cannot be fetched; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class File:
    """One IDX file of unsigned bytes.

    Attributes:
        name: of the raw file; the compressed one has ``.gz`` appended.
        shape: what its header must say.
        md5: of the raw file.
        gz_size: bytes of the compressed file as its publishers serve it.
        gz_md5: of that compressed file.
    """

    name: str
    shape: tuple[int, ...]
    md5: str
    gz_size: int
    gz_md5: str

    @property
    def header(self) -> bytes:
        """The IDX header: two zero bytes, 8 for unsigned bytes, the number of axes, each axis as big-endian uint32."""
        axes = len(self.shape)
        return struct.pack(f">BBBB{axes}I", 0, 0, 8, axes, *self.shape)

    @property
    def size(self) -> int:
        """Bytes of the raw file."""
        return len(self.header) + math.prod(self.shape)


MNIST: dict[SplitName, tuple[File, File]] = {
    "train": (
        File(
            name="train-images-idx3-ubyte",
            shape=(60_000, 28, 28),
            md5="6bbc9ace898e44ae57da46a324031adb",
            gz_size=9_912_422,
            gz_md5="f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        File(
            name="train-labels-idx1-ubyte",
            shape=(60_000,),
            md5="a25bea736e30d166cdddb491f175f624",
            gz_size=28_881,
            gz_md5="d53e105ee54ea40749a09fcbcd1e9432",
        ),
    ),
    "test": (
        File(
            name="t10k-images-idx3-ubyte",
            shape=(10_000, 28, 28),
            md5="2646ac647ad5339dbf082846283269ea",
            gz_size=1_648_877,
            gz_md5="9fb629c4189551a2d022fa330f9573f3",
        ),
        File(
            name="t10k-labels-idx1-ubyte",
            shape=(10_000,),
            md5="27ae3e4e09519cfbb04c329615203637",
            gz_size=4_542,
            gz_md5="ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
}


def every() -> tuple[File, ...]:
    """The four files, images before labels, train before test."""
    return tuple(file for pair in MNIST.values() for file in pair)


def damage(file: File, raw: bytes) -> str | None:
    """What is wrong with the bytes of a raw file, as the end of a sentence; None if nothing is."""
    if len(raw) != file.size:
        return f"has {len(raw):,} bytes instead of {file.size:,}"
    if not raw.startswith(file.header):
        return f"does not begin with the IDX header for {file.shape}"
    return _wrong_checksum(raw, file.md5)


def gz_damage(file: File, compressed: bytes) -> str | None:
    """What is wrong with the bytes of a compressed file, as the end of a sentence; None if nothing is."""
    if len(compressed) != file.gz_size:
        return f"has {len(compressed):,} bytes instead of {file.gz_size:,}"
    return _wrong_checksum(compressed, file.gz_md5)


def stored_as(folder: Path, file: File) -> Path | None:
    """Where the file lies in ``folder``, raw before ``.gz``; None if it does not."""
    candidates = (folder / file.name, folder / f"{file.name}.gz")
    # os.path, because Path.exists raises on a folder that must not be entered.
    return next((path for path in candidates if os.path.exists(path)), None)


def read(folder: Path, file: File) -> bytes:
    """The verified raw bytes of a file in ``folder``, be it stored raw or as ``.gz``.

    Raises:
        DataError: it is missing, unreadable or damaged.
    """
    path = stored_as(folder, file)
    if path is None:
        raise DataError(f"{folder / file.name} is missing")
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    compressed = path.suffix == ".gz"
    wrong = gz_damage(file, stored) if compressed else damage(file, stored)
    if wrong:
        raise DataError(f"{path} {wrong}")
    # Only after its checksum held: a foreign archive may unpack to any size.
    return gzip.decompress(stored) if compressed else stored


def problem(folder: Path, file: File) -> str | None:
    """Why a file in ``folder`` cannot be used, as a clause; None if it can.

    Repeating the question costs nothing while the file on disk keeps its size and time of change.
    """
    path = stored_as(folder, file)
    if path is None:
        return f"{folder / file.name} is missing"
    state = path.stat()
    return _problem(folder, file, path, (state.st_size, state.st_mtime_ns, state.st_ctime_ns))


@lru_cache(maxsize=64)
def _problem(folder: Path, file: File, path: Path, state: tuple[int, int, int]) -> str | None:
    """The answer of `problem`; ``path`` and ``state`` are there so that a changed file is asked anew."""
    try:
        read(folder, file)
    except DataError as error:
        return str(error)
    return None


def _wrong_checksum(content: bytes, expected: str) -> str | None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return None if found == expected else f"has the checksum {found} instead of {expected}"
