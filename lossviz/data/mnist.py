"""MNIST as arrays, verified at every load; never anything else in its place."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from lossviz.data import files, folders
from lossviz.data.files import DataError, File, SplitName

COMMAND = "lossviz data"


@dataclass(frozen=True, slots=True)
class Split:
    """One half of the data set.

    Attributes:
        images: shape ``(N, 784)``, uint8, 0 is paper and 255 is ink; rows of the 28 x 28 picture one after the other.
        labels: shape ``(N,)``, int64, the digit 0 to 9.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def find() -> Path | None:
    """The first folder that holds all four files with the right checksums, or None.

    Looks in ``LOSSVIZ_DATA_DIR``, then in the user's cache folder. Costs about 0.1 s at the first call and nothing
    after that while the files stay as they are.
    """
    return next((place for place in _places() if not problems(place)), None)


def problems(folder: Path) -> list[str]:
    """Why the files in ``folder`` cannot be used, one clause for each file that cannot; empty if all can."""
    return [clause for file in files.every() if (clause := files.problem(folder, file))]


def load(split: SplitName) -> Split:
    """The 60,000 images of ``"train"`` or the 10,000 of ``"test"``, with their labels.

    The bytes that are returned have been verified at this call: size, header and checksum.

    Raises:
        DataError: a file is missing, unreadable or damaged; the message names it and the command that gets it.
        ValueError: no such split.
    """
    if split not in get_args(SplitName):
        raise ValueError(f"split is {split!r}; allowed are {', '.join(get_args(SplitName))}")
    place = find()
    if place is None:
        raise DataError(_absence())
    images, labels = files.MNIST[split]
    try:
        pixels, digits = _array(place, images), _array(place, labels)
    except DataError as error:
        raise DataError(f"{error}. Run `{COMMAND}` to get it again.") from error
    return Split(pixels.reshape(len(pixels), -1), digits.astype(np.int64))


def _places() -> tuple[Path, ...]:
    return tuple(folder / "mnist" for folder in folders.search())


def _absence() -> str:
    """What was found in each folder, and what to do."""
    clauses = [
        "; ".join(problems(place))
        if any(files.stored_as(place, file) for file in files.every())
        else f"{place} holds none of its files"
        for place in _places()
    ]
    return f"MNIST cannot be loaded: {'; '.join(clauses)}. Run `{COMMAND}` to get it."


def _array(place: Path, file: File) -> NDArray[np.uint8]:
    raw = files.read(place, file)
    # A copy, because an array over immutable bytes cannot be shared with torch.
    return np.frombuffer(raw, np.uint8, offset=len(file.header)).reshape(file.shape).copy()
