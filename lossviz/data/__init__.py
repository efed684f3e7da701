"""MNIST: find, fetch, verify, load; and where lossviz keeps its files."""

from lossviz.data.fetch import Progress, fetch
from lossviz.data.files import ATTRIBUTION, DataError, SplitName
from lossviz.data.folders import folder, home
from lossviz.data.mnist import Split, find, load

__all__ = ["ATTRIBUTION", "DataError", "Progress", "Split", "SplitName", "fetch", "find", "folder", "home", "load"]
