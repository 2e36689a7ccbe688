"""Pictures in Gradio's cache that are whole from the moment they are there."""

from __future__ import annotations

from pathlib import Path

from gradio.processing_utils import hash_bytes
from gradio.utils import get_upload_folder
from PIL import Image

from bicyclegan.files import write_atomic
from bicyclegan.images import webp_bytes


def cached_picture(image: Image.Image) -> str:
    """Path of the picture in Gradio's cache, for a component that shows pictures.

    Given a picture, Gradio writes it in place, under a name that its content decides. Who asks for the same picture
    while a second writing is under way gets a part of it.
    """
    data = webp_bytes(image, lossless=True)
    path = Path(get_upload_folder()) / hash_bytes(data) / "image.webp"
    if not path.exists():
        write_atomic(path, data)
    return str(path)
