"""Where lossviz keeps things on this machine. Nothing here creates a folder."""

import os
from pathlib import Path

from platformdirs import user_cache_dir, user_data_dir


def home() -> Path:
    """The folder of runs and keys: ``LOSSVIZ_HOME``, else the user's data folder."""
    return _chosen("LOSSVIZ_HOME") or Path(user_data_dir("lossviz", appauthor=False))


def folder() -> Path:
    """The folder that data sets are fetched into: ``LOSSVIZ_DATA_DIR``, else the user's cache folder."""
    return search()[0]


def search() -> tuple[Path, ...]:
    """The folders that data sets are looked for in, first one first; each set in a subfolder (``mnist/``)."""
    cache = Path(user_cache_dir("lossviz", appauthor=False))
    chosen = _chosen("LOSSVIZ_DATA_DIR")
    return (chosen, cache) if chosen else (cache,)


def _chosen(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None
