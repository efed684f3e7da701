"""What the browser loads from us: the components' ES modules, and plotly.js from its own wheel."""

import gzip
import hashlib
import mimetypes
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

PLOTLY = "plotly.min.js"


class Assets:
    """The files of one folder beside plotly.js, read once; names not among them do not exist."""

    def __init__(self, folder: Path):
        """Read the files of ``folder``."""
        self._files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        self._files[PLOTLY] = (files("plotly") / "package_data" / PLOTLY).read_bytes()
        self._compressed: dict[str, bytes] = {}

    @cached_property
    def version(self) -> str:
        """A short hash over all files: a changed file changes every address, so browsers may keep all for ever."""
        digest = hashlib.sha256()
        for name, content in self._files.items():
            digest.update(name.encode() + content)
        return digest.hexdigest()[:12]

    def respond(self, request: Request) -> Response:
        """Serve the file that the path names, compressed once."""
        name = request.path_params["name"]
        if name not in self._files:
            return Response("There is no such file.", 404)
        # A page from before a restart asks for a version that is gone; what it gets must not be kept under that name.
        current = request.path_params["version"] == self.version
        caching = "public, max-age=31536000, immutable" if current else "no-store"
        headers = {"Cache-Control": caching, "Vary": "Accept-Encoding"}
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self._files[name], media_type=kind, headers=headers)
        if name not in self._compressed:
            self._compressed[name] = gzip.compress(self._files[name], 6)
        headers["Content-Encoding"] = "gzip"
        return Response(self._compressed[name], media_type=kind, headers=headers)
