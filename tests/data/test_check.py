"""The check finds what is wrong with a data set and says it in plain words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from picture_sets import WHITE, photo, save, save_photos, train_config
from PIL import Image, ImageOps

from bicyclegan.data import check_data
from bicyclegan.data.check import DataReport, find_duplicates, looks_exchanged
from bicyclegan.errors import UserError
from bicyclegan.images import fit_square


@pytest.fixture
def folder(tmp_path) -> Path:
    save_photos(tmp_path / "photos" / "train", 8)
    save_photos(tmp_path / "photos" / "val", 3, first=100)
    return tmp_path / "photos"


def check(tiny_config, folder: Path) -> DataReport:
    return check_data(train_config(tiny_config, folder))


def warning(report: DataReport, word: str) -> str:
    (text,) = (text for text in report.warnings if word in text)
    return text


def thumb(image: Image.Image) -> np.ndarray:
    return np.asarray(fit_square(image, 32).resize((16, 16), Image.Resampling.BOX))


def test_counts_and_sizes(tiny_config, folder):
    save(photo(50, 90, 40), folder / "train" / "wide.png")
    save(photo(51, 40, 33), folder / "val" / "small.png")
    report = check(tiny_config, folder)
    assert (report.layout, report.direction, report.sketches) == ("photos", "", "computed")
    assert (report.train, report.validation, report.validation_source) == (9, 4, "folder val")
    assert (report.smallest, report.largest) == ((40, 33), (90, 40))
    assert report.unreadable == report.unpaired == report.duplicates == report.constant == ()
    assert report.cache_bytes == 13 * 32 * 32 * 3 + 2 * 128


def test_few_pictures_are_warned_of(tiny_config, folder):
    assert "Only 8 pictures" in warning(check(tiny_config, folder), "Only")
    save_photos(folder / "train", 42, first=8)
    assert not check(tiny_config, folder).warnings


def test_too_few_pictures_are_refused(tiny_config, tmp_path):
    folder = save_photos(tmp_path / "photos", 2)
    with pytest.raises(UserError, match=r"1 picture.* to train on and 1 to validate on; at least 2 and 1"):
        check(tiny_config, folder)
    (folder / "1.png").write_bytes(b"broken")
    (folder / "0.png").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"Skipped: 1\.png is not a picture.*TIFF; 0\.png is not .*TIFF\.$") as caught:
        check(tiny_config, folder)
    assert "\n" not in str(caught.value)


def test_broken_files_are_listed(tiny_config, folder):
    (folder / "train" / "3.png").write_bytes(b"broken")
    (folder / "val" / "x.heic").write_bytes(b"broken")
    report = check(tiny_config, folder)
    assert (report.train, report.validation) == (7, 3)
    assert [text.split()[0] for text in report.unreadable] == ["3.png", "x.heic"]
    assert any(line.startswith("2 skipped: 3.png is not a picture") for line in report.lines())


def test_when_all_that_was_set_aside_is_broken_others_are(tiny_config, tmp_path):
    folder = save_photos(tmp_path / "photos", 10)
    config = train_config(tiny_config, folder)
    from bicyclegan.data.files import find_files

    (aside,) = find_files(config.source, config.data).validation
    aside.photo.write_bytes(b"broken")
    report = check(tiny_config, folder)
    assert (report.train, report.validation) == (8, 1)
    assert [text.split()[0] for text in report.unreadable] == [aside.name]


def test_small_pictures_are_warned_of(tiny_config, folder):
    save_photos(folder / "train", 2, first=20, width=20, height=30)
    assert "2 of 13 pictures are smaller than 32 px" in warning(check(tiny_config, folder), "smaller")


def test_copies_are_found(tiny_config, folder):
    (folder / "train" / "copy.png").write_bytes((folder / "train" / "2.png").read_bytes())
    photo(4).resize((96, 96), Image.Resampling.LANCZOS).save(folder / "train" / "saved.jpg", quality=80)
    (folder / "val" / "seen.png").write_bytes((folder / "train" / "6.png").read_bytes())
    report = check(tiny_config, folder)
    assert set(report.duplicates) == {
        ("2.png", "copy.png"),
        ("4.png", "saved.jpg"),
        ("6.png", "seen.png (validation)"),
    }
    assert "1 validation picture(s) are also trained on" in warning(report, "validation")
    assert "2 picture(s) are there twice" in warning(report, "twice")


def test_each_copy_is_named_once():
    thumbs = np.stack([thumb(photo(seed)) for seed in (0, 1, 0, 2, 0, 1)])
    assert find_duplicates(thumbs) == [(0, 2), (0, 4), (1, 5)]


def test_alike_is_not_the_same():
    shoe = photo(3)
    red = Image.merge("RGB", [channel.point(lambda v, k=k: max(v, 90 * k)) for k, channel in enumerate(shoe.split())])
    dent = np.array(shoe)
    dent[20:28, 20:28] ^= 64
    others = [ImageOps.mirror(photo(5)), photo(5), shoe, red, Image.fromarray(dent)]
    assert find_duplicates(np.stack([thumb(each) for each in others])) == []


def test_copies_are_found_among_many():
    random = np.random.RandomState(0)
    thumbs = random.randint(0, 256, (3000, 16, 16, 3)).astype(np.uint8)
    thumbs[2500] = thumbs[17]
    thumbs[2600] = np.clip(thumbs[18].astype(int) + random.randint(-2, 3, (16, 16, 3)), 0, 255)
    assert find_duplicates(thumbs) == [(17, 2500), (18, 2600)]


def test_pictures_of_nothing_are_named(tiny_config, folder):
    save(Image.new("RGB", (40, 40), WHITE), folder / "train" / "white.png")
    save(Image.new("RGB", (40, 40), (9, 9, 9)), folder / "val" / "black.png")
    report = check(tiny_config, folder)
    assert report.constant == ("white.png", "black.png (validation)")
    assert "white.png" in warning(report, "show nothing")


def test_what_was_not_followed_is_said(tiny_config, folder, tmp_path):
    save(photo(70), tmp_path / "elsewhere.png")
    (folder / "train" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    (folder / "train" / "weights.pth").write_bytes(b"x")
    report = check(tiny_config, folder)
    assert "link.png" in warning(report, "link(s)")
    assert "weights.pth" in warning(report, "no pictures")


def test_older_decoded_pictures_are_counted(tiny_config, folder):
    first = check(tiny_config, folder)
    assert first.cache_total_bytes == first.cache_bytes
    save_photos(folder / "train", 1, first=30)
    second = check(tiny_config, folder)
    assert second.cache_total_bytes > second.cache_bytes > first.cache_bytes


def test_the_report_is_plain_data_and_lines(tiny_config, folder):
    save(Image.new("RGB", (40, 40), WHITE), folder / "train" / "white.png")
    report = check(tiny_config, folder)
    assert json.loads(json.dumps(report.to_json()))["constant"] == ["white.png"]
    lines = report.lines()
    assert "9 pictures to train on, 3 to validate on (folder val)" in lines
    assert "sizes: 40 x 40 px to 48 x 48 px" in lines
    assert lines[-1].startswith("warning: ")
    assert not [line for line in lines if "\n" in line]


def test_long_lists_are_cut_short(tiny_config, folder):
    for name in "abcdefgh":
        (folder / "train" / f"{name}.png").write_bytes(b"broken")
    report = check(tiny_config, folder)
    assert len(report.unreadable) == 8
    (line,) = (line for line in report.lines() if "skipped" in line)
    assert line.endswith("and 3 more")


@pytest.mark.parametrize(
    ("sketch", "picture", "exchanged"), [(0.0, 0.1, False), (0.1, 0.0, True), (0.23, 0.4, False), (0.4, 0.23, True)]
)
def test_texture_tells_which_side_is_the_photo(sketch, picture, exchanged):
    assert looks_exchanged(sketch, picture) == exchanged
