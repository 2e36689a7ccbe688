from pathlib import Path

import numpy as np
import pytest
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from bicyclegan.ui import cached_picture as module
from bicyclegan.ui.cached_picture import cached_picture


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8))


def test_a_picture_that_is_there_is_not_written_again(cache, monkeypatch):
    first = cached_picture(noise(0))
    monkeypatch.setattr(module, "write_atomic", lambda path, data: pytest.fail("somebody may be reading it"))
    assert cached_picture(noise(0)) == first
    assert Image.open(first).size == (64, 64)


def test_other_pictures_are_other_files(cache):
    assert cached_picture(noise(0)) != cached_picture(noise(1))


def test_gradio_takes_the_file_as_its_own(cache):
    """A second copy would be another name, and would not be counted when the cache is emptied."""
    path = cached_picture(noise(0))
    assert save_file_to_cache(path, get_upload_folder()) == path
    assert [file for file in cache.rglob("*") if file.is_file()] == [Path(path)]
