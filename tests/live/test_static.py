"""Our files: one version over all of them, kept by browsers for ever, and no way out of the folder."""

from pathlib import Path

import pytest

from lossviz.live.service import Service
from lossviz.live.static import PLOTLY, Assets
from lossviz.ui import WEB
from tests.live.conftest import TestClient


def address(ours: Service, name: str) -> str:
    return f"/live/files/{ours.assets.version}/{name}"


def test_every_file_is_served_as_it_is(ours: Service, client: TestClient):
    for path in WEB.iterdir():
        for encoding in ("identity", "gzip"):
            response = client.get(address(ours, path.name), headers={"accept-encoding": encoding})
            assert response.status_code == 200
            assert response.content == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "kind"), [("explore.js", "text/javascript"), ("lossviz.css", "text/css"), ("icon.svg", "image/svg+xml")]
)
def test_a_file_says_what_it_is(ours: Service, client: TestClient, name: str, kind: str):
    assert client.get(address(ours, name)).headers["content-type"].split(";")[0] == kind


def test_plotly_comes_from_its_wheel_compressed(ours: Service, client: TestClient):
    packed = client.get(address(ours, PLOTLY), headers={"accept-encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < 2_000_000
    assert b"plotly.js" in packed.content[:200]
    plain = client.get(address(ours, PLOTLY), headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == packed.content


def test_a_file_is_kept_for_ever_under_its_version_alone(ours: Service, client: TestClient):
    headers = client.get(address(ours, "dom.js")).headers
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["vary"] == "Accept-Encoding"
    stale = client.get("/live/files/000000000000/dom.js")
    assert stale.status_code == 200
    assert stale.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    [
        "missing.js",
        "..%2fframe.py",
        "..%2f..%2fweb%2fdom.js",
        "%2e%2e%2fframe.py",
        "..%5cframe.py",
        "%2fetc%2fpasswd",
        ".%2fdom.js",
        "dom.js%00",
        "DOM.JS",
        "..",
        "",
    ],
)
def test_what_is_not_in_the_folder_does_not_exist(ours: Service, client: TestClient, name: str):
    assert client.get(address(ours, name)).status_code == 404


def test_a_changed_added_or_renamed_file_changes_the_version(tmp_path: Path):
    (tmp_path / "a.js").write_text("1")
    first = Assets(tmp_path)
    assert Assets(tmp_path).version == first.version
    (tmp_path / "a.js").write_text("2")
    changed = Assets(tmp_path).version
    (tmp_path / "b.js").write_text("")
    added = Assets(tmp_path).version
    (tmp_path / "b.js").rename(tmp_path / "c.js")
    renamed = Assets(tmp_path).version
    assert len({first.version, changed, added, renamed}) == 4


def test_only_files_of_the_folder_itself_are_read(tmp_path: Path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "secret.js").write_text("1")
    before = Assets(tmp_path).version
    (tmp_path / "inner" / "secret.js").write_text("2")
    assert Assets(tmp_path).version == before


def test_health_says_what_trains_and_how_many_wait(ours: Service, client: TestClient):
    assert client.get("/live/health").json() == {"status": "ok", "device": None, "waiting": 0}
