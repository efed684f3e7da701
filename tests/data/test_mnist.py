import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lossviz import data
from lossviz.data import DataError, files

from .conftest import Small

TRAIN_IMAGES = "train-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize("compressed", [False, True])
def test_load_gives_the_stored_values(compressed: bool, small: Small, folder: Path):
    small.put(folder, compressed)
    train = data.load("train")
    assert train.images.shape == (6, 784)
    assert train.images.dtype == np.uint8
    assert train.images.tobytes() == small.raw[TRAIN_IMAGES][16:]
    test = data.load("test")
    assert test.labels.dtype == np.int64
    assert test.labels.tolist() == list(small.raw[TEST_LABELS][8:])


def test_torch_can_share_the_images(small: Small, folder: Path):
    small.put(folder)
    images = data.load("train").images
    torch.from_numpy(images)[0, 0] = 77  # warns, and so fails, over memory that must not be written
    assert images[0, 0] == 77


def test_the_chosen_folder_goes_before_the_cache(small: Small, folder: Path, tmp_path: Path):
    cache = small.put(tmp_path / "cache" / "lossviz" / "mnist")
    assert data.find() == cache
    small.put(folder)
    assert data.find() == folder


def test_a_damaged_chosen_folder_is_passed_over_for_a_whole_cache(small: Small, folder: Path, tmp_path: Path):
    cache = small.put(tmp_path / "cache" / "lossviz" / "mnist")
    small.put(folder)
    (folder / TRAIN_IMAGES).write_bytes(b"short")
    assert data.find() == cache
    assert len(data.load("train").images) == 6


def test_missing_data_name_the_folders_and_the_command(small: Small, folder: Path, tmp_path: Path):
    with pytest.raises(DataError) as error:
        data.load("train")
    text = str(error.value)
    assert f"{folder} holds none of its files" in text
    assert str(tmp_path / "cache" / "lossviz" / "mnist") in text
    assert "Run `lossviz data` to get it." in text


def test_a_missing_file_is_named(small: Small, folder: Path):
    small.put(folder)
    (folder / TEST_LABELS).unlink()
    with pytest.raises(DataError, match=rf"{folder / TEST_LABELS} is missing.*Run `lossviz data`"):
        data.load("train")


def spoilt(name: str, raw: bytes) -> dict[str, tuple[bytes, str]]:
    return {
        "short": (raw[:100], f"{name} has 100 bytes instead of 4,720"),
        "long": (raw + b"x", f"{name} has 4,721 bytes instead of 4,720"),
        "header": (b"\0\0\x0d" + raw[3:], f"{name} does not begin with the IDX header for (6, 28, 28)"),
        "one bit": (raw[:-1] + bytes([raw[-1] ^ 1]), f"{name} has the checksum "),
        "empty": (b"", f"{name} has 0 bytes"),
    }


@pytest.mark.parametrize("how", spoilt("", b" "))
def test_a_damaged_file_is_named_with_what_is_wrong(how: str, small: Small, folder: Path):
    small.put(folder)
    assert data.find() == folder
    content, reason = spoilt(TRAIN_IMAGES, small.raw[TRAIN_IMAGES])[how]
    (folder / TRAIN_IMAGES).write_bytes(content)
    assert data.find() is None
    with pytest.raises(DataError) as error:
        data.load("train")
    assert reason in str(error.value)
    assert "Run `lossviz data`" in str(error.value)


def test_a_damaged_gz_is_named_and_not_unpacked(small: Small, folder: Path, monkeypatch: pytest.MonkeyPatch):
    small.put(folder, compressed=True)
    stored = folder / f"{TRAIN_IMAGES}.gz"
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    unpacked: list[bytes] = []
    monkeypatch.setattr("gzip.decompress", lambda content: unpacked.append(content) or b"")
    with pytest.raises(DataError, match=rf"{TRAIN_IMAGES}\.gz has the checksum"):
        data.load("train")
    assert unpacked
    assert stored.read_bytes() not in unpacked


def test_load_verifies_the_bytes_it_returns(small: Small, folder: Path):
    """A change that leaves size and times as they were passes `find`, which trusts them; not `load`."""
    small.put(folder)
    path = folder / TRAIN_IMAGES
    wrong = path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])
    files.problem(folder, files.MNIST["train"][0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "problem", lambda folder, file: None)
        path.write_bytes(wrong)
        with pytest.raises(DataError, match=rf"{TRAIN_IMAGES} has the checksum .*Run `lossviz data` to get it again"):
            data.load("train")


def test_an_unreadable_file_is_named(small: Small, folder: Path):
    small.put(folder)
    (folder / TRAIN_IMAGES).unlink()
    (folder / TRAIN_IMAGES).mkdir()
    with pytest.raises(DataError, match=rf"{TRAIN_IMAGES} cannot be read: Is a directory"):
        data.load("train")


def test_an_unknown_split_is_named(small: Small):
    with pytest.raises(ValueError, match="split is 'valid'; allowed are train, test"):
        data.load("valid")  # pyright: ignore[reportArgumentType]


def test_find_does_not_read_unchanged_files_again(small: Small, folder: Path, monkeypatch: pytest.MonkeyPatch):
    small.put(folder)
    assert data.find() == folder
    monkeypatch.setattr(files, "read", lambda *_: pytest.fail("read again"))
    assert data.find() == folder


def test_the_real_mnist(mnist: Path):
    train, test = data.load("train"), data.load("test")
    assert train.images.shape == (60_000, 784)
    assert test.images.shape == (10_000, 784)
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert train.images.std() / 255 == pytest.approx(0.3081, abs=5e-5)


def test_home_and_folder_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOSSVIZ_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOSSVIZ_DATA_DIR", "~/digits")
    assert data.home() == tmp_path / "home"
    assert data.folder() == Path(os.path.expanduser("~/digits"))
    for variable in ("LOSSVIZ_HOME", "LOSSVIZ_DATA_DIR"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data.home() == tmp_path / "data" / "lossviz"
    assert data.folder() == tmp_path / "cache" / "lossviz"
    assert not list(tmp_path.iterdir())
