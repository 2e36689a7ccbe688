"""Photos that somebody hands over: what is taken, what is passed over, and what a hostile ZIP cannot do."""

from __future__ import annotations

import io
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from picture_sets import photo

from bicyclegan import photo_files
from bicyclegan.errors import UserError
from bicyclegan.images import load_image
from bicyclegan.photo_files import MAX_NAME, PhotoFile, open_photo_files, shown_name


def png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    photo(seed).save(buffer, "PNG")
    return buffer.getvalue()


PNG = png()


def make_zip(path: Path, entries: dict[str, bytes] | Sequence[tuple[zipfile.ZipInfo | str, bytes]], **options) -> Path:
    pairs = entries.items() if isinstance(entries, dict) else entries
    with zipfile.ZipFile(path, "w", **options) as packed:
        for entry, data in pairs:
            packed.writestr(entry, data)
    return path


def entry(name: str, mode: int = 0, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, method
    return info


def changed(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


def listed(*paths: Path, **options) -> tuple[list[str], int, int]:
    with open_photo_files(paths, **options) as found:
        return [each.name for each in found.photos], found.skipped, found.left_out


def refused(*paths: Path, **options) -> UserError:
    with pytest.raises(UserError) as caught, open_photo_files(paths, **options):
        pass
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    return caught.value


def save(path: Path, data: bytes = PNG) -> Path:
    path.write_bytes(data)
    return path


# What is taken


def test_pictures_and_zips_of_them_are_read_one_at_a_time(tmp_path: Path) -> None:
    alone = save(tmp_path / "m.PNG", png(1))
    packed = make_zip(tmp_path / "z.ZIP", {"z/a.png": png(2), "b/b.png": png(3)}, compression=zipfile.ZIP_DEFLATED)
    with open_photo_files([packed, str(alone)]) as found:
        assert [each.name for each in found.photos] == ["b/b.png", "m.PNG", "z/a.png"]
        assert [each.read() for each in found.photos] == [png(3), png(1), png(2)]
        assert found.photos[0].read() == png(3), "as often as somebody likes"
        assert load_image(found.photos[2].read(), found.photos[2].name).size == (48, 48)
        assert (found.skipped, found.left_out) == (0, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.PNG", "z.ZIP"], "nothing is unpacked"


@pytest.mark.parametrize("suffix", ["png", "JPG", "jpeg", "jfif", "webp", "bmp", "gif", "tif", "TIFF", "avif", "heic"])
def test_suffixes_are_those_of_data(tmp_path: Path, suffix: str) -> None:
    assert listed(save(tmp_path / f"x.{suffix}"))[0] == [f"x.{suffix}"]


def test_files_of_a_folder_keep_the_names_they_are_given(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"tmp{k}.png") for k in range(3)]
    names = ["shoes/red/1.png", "shoes\\blue\\1.png", "../../etc/1.png"]
    assert listed(*paths, names=names)[0] == ["etc/1.png", "shoes/blue/1.png", "shoes/red/1.png"]
    assert listed(*paths, names=["only one"])[0] == ["tmp0.png", "tmp1.png", "tmp2.png"]


def test_names_may_repeat(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    packed = make_zip(tmp_path / "a" / "z.zip", {"1.png": png(5)})
    with open_photo_files([save(tmp_path / "1.png", png(4)), packed]) as found:
        assert [(each.name, each.read()) for each in found.photos] == [("1.png", png(4)), ("1.png", png(5))]


def test_what_is_no_picture_is_counted_and_what_systems_hide_is_not(tmp_path: Path) -> None:
    names = ["1.png", "run.exe", "notes.txt", "more.zip", "x.png.sh", "noending"]
    hidden = ["__MACOSX/._1.png", ".DS_Store", "a/.git/x.png", "Thumbs.db", "b/desktop.ini", "folder.png/"]
    packed = make_zip(tmp_path / "z.zip", dict.fromkeys(names + hidden, PNG))
    assert listed(packed) == (["1.png"], 5, 0)
    outside = [save(tmp_path / name) for name in ("2.png", "run.bin", ".hidden.png", "Thumbs.db")]
    assert listed(*outside, save(tmp_path / ".trash.zip", b"no ZIP")) == (["2.png"], 1, 0)


def test_too_many_are_thinned_out_evenly(tmp_path: Path) -> None:
    packed = make_zip(tmp_path / "z.zip", {f"{k:02}.png": PNG for k in range(11)})
    assert listed(packed, limit=3) == (["00.png", "05.png", "10.png"], 0, 8)
    assert listed(packed, limit=11)[2] == 0
    assert "limit is 0" in str(refused(packed, limit=0))


# Names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/etc/passwd.png", "etc/passwd.png"),
        ("../../x.png", "x.png"),
        ("a/../b/./c//d.png", "a/b/c/d.png"),
        ("..\\..\\x.png", "x.png"),
        ("C:\\photos\\x.png", "C:/photos/x.png"),
        ("a\x00b\nc\t.png", "a b c .png"),
        ("evil\u202egnp.exe", "evil gnp.exe"),
        ("half\ud83d.png", "half .png"),
        (" .. /x.png", "x.png"),
        ("鞋/红 鞋.png", "鞋/红 鞋.png"),
        ("👩‍🎨/👟.png", "👩‍🎨/👟.png"),
        ("cafe\u0301.png", "café.png"),
        ("../..", ""),
    ],
)
def test_names_are_labels(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_long_names_keep_their_end(tmp_path: Path) -> None:
    [name], _, _ = listed(make_zip(tmp_path / "z.zip", {"鞋" * 300 + "/shoe.png": PNG}))
    assert len(name) == MAX_NAME
    assert name.endswith("鞋/shoe.png")


@pytest.mark.parametrize("name", ["鞋/红色的鞋.png", "👟 emoji.png", "plain.png"])
def test_names_in_utf_8(tmp_path: Path, name: str) -> None:
    assert listed(make_zip(tmp_path / "z.zip", {name: PNG}))[0] == [name]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("鞋/红色的鞋.png".encode(), "鞋/红色的鞋.png"),
        ("👟.png".encode(), "👟.png"),
        ("鞋/红色的鞋.png".encode("gbk"), "鞋/红色的鞋.png"),
        ("fancé.png".encode("cp437"), "fancé.png"),
        (b"..\\..\\x.png", "x.png"),
    ],
)
def test_names_without_the_flag_of_utf_8(tmp_path: Path, raw: bytes, shown: str) -> None:
    """As ZIPs of Windows and of old programs have them."""
    ascii_name = "x" * len(raw)
    packed = make_zip(tmp_path / "z.zip", {ascii_name: PNG})
    changed(packed, lambda data: data.replace(ascii_name.encode(), raw))
    with open_photo_files([packed]) as found:
        assert [each.name for each in found.photos] == [shown]
        assert found.photos[0].read() == PNG


# ZIPs that mean harm


def test_an_entry_that_tells_of_its_size_is_skipped(tmp_path: Path) -> None:
    packed = make_zip(
        tmp_path / "z.zip", {"bomb.png": bytes(26_000_000), "1.png": PNG}, compression=zipfile.ZIP_DEFLATED
    )
    assert packed.stat().st_size < 100_000
    assert listed(packed) == (["1.png"], 1, 0)
    assert listed(save(tmp_path / "2.png", bytes(25_000_001)), packed) == (["1.png"], 2, 0)


@pytest.mark.parametrize("told", [1000, 20_000_000])
def test_an_entry_that_lies_about_its_size_is_not_read_on(tmp_path: Path, told: int) -> None:
    """300 MB that tell of less."""
    real = 300_000_000
    info = entry("bomb.png", method=zipfile.ZIP_DEFLATED)
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as packed, packed.open(info, "w") as file:
        for _ in range(real // 1_000_000):
            file.write(bytes(1_000_000))
    changed(path, lambda data: data.replace(struct.pack("<L", real), struct.pack("<L", told)))
    tracemalloc.start()
    with open_photo_files([path]) as found, pytest.raises(UserError, match=r"bomb\.png is damaged or cut short"):
        found.photos[0].read()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100_000_000


def test_a_file_that_grows_is_not_read_on(tmp_path: Path) -> None:
    path = save(tmp_path / "1.png")
    with open_photo_files([path]) as found:
        path.write_bytes(bytes(25_000_001))
        with pytest.raises(UserError, match=r"1\.png has more than 25 MB"):
            found.photos[0].read()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_without_a_limit_is_not_unpacked(tmp_path: Path, method: int) -> None:
    """Python unpacks these as far as they go: 100 kB become gigabytes."""
    packed = make_zip(tmp_path / "z.zip", [(entry("bomb.png", method=method), PNG), ("1.png", PNG)])
    assert listed(packed) == (["1.png"], 1, 0)


def test_all_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = make_zip(tmp_path / "z.zip", {f"{k}.txt": bytes(1000) for k in range(3)} | {"1.png": PNG})
    monkeypatch.setattr(photo_files, "MAX_BYTES", 5000)
    assert listed(packed)[0] == ["1.png"]
    error = refused(packed, make_zip(tmp_path / "y.zip", {"2.png": PNG, "x": bytes(3000)}))
    assert error.code == "photo_files_large"


def test_a_bomb_of_many_entries_tells_of_too_much(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "z.zip", {f"{k}.png": b"" for k in range(100)})
    directory = path.read_bytes().index(b"PK\x01\x02")

    def lie(data: bytes) -> bytes:
        parts = data[directory:].split(b"PK\x01\x02")
        fields = [part[:20] + struct.pack("<L", 24_000_000) + part[24:] for part in parts[1:]]
        return data[:directory] + b"PK\x01\x02" + b"PK\x01\x02".join(fields)

    assert "have 2.4 GB unpacked; at most 2 GB" in str(refused(changed(path, lie)))


def test_entries_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = make_zip(tmp_path / "z.zip", dict.fromkeys(["1.png", "a/", "b.txt"], b""))
    monkeypatch.setattr(photo_files, "MAX_ENTRIES", 3)
    assert listed(packed)[0] == ["1.png"]
    assert refused(packed, save(tmp_path / "2.png")).code == "photo_files_many"
    monkeypatch.setattr(photo_files, "MAX_ENTRIES", 2)
    assert refused(packed).code == "photo_files_many"


def test_a_list_of_entries_is_not_taken_into_memory_whole(tmp_path: Path) -> None:
    """A gigabyte of it would become ten of objects."""
    path, size = tmp_path / "z.zip", photo_files.MAX_DIRECTORY_BYTES + 1
    with path.open("wb") as file:
        file.truncate(size)  # of nothing on the disk
        file.seek(size)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, size, 0, 0))
    assert refused(path).code == "photo_files_many"


def test_zips_have_a_limit(tmp_path: Path) -> None:
    packed = make_zip(tmp_path / "z.zip", {"1.png": PNG})
    assert len(listed(*[packed] * 50)[0]) == 50
    assert "more than 50 ZIPs" in str(refused(*[packed] * 51))


def test_links_and_devices_are_skipped(tmp_path: Path) -> None:
    kinds = {"link": stat.S_IFLNK, "pipe": stat.S_IFIFO, "device": stat.S_IFCHR, "file": stat.S_IFREG}
    entries = [(entry(f"{name}.png", kind | 0o777), b"/etc/passwd") for name, kind in kinds.items()]
    assert listed(make_zip(tmp_path / "z.zip", entries)) == (["file.png"], 3, 0)


def test_locked_zips_say_so(tmp_path: Path) -> None:
    packed = make_zip(tmp_path / "z.zip", {"1.png": PNG})

    def lock(data: bytes) -> bytes:
        at = data.index(b"PK\x01\x02") + 8
        return data[:at] + bytes([data[at] | 1]) + data[at + 1 :]

    error = refused(changed(packed, lock))
    assert (error.code, str(error)) == (
        "photo_zip_locked",
        "z.zip is locked with a password: make a ZIP without one.",
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"no archive at all",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-10],
        lambda data: data[-60:],
        lambda data: data.replace(b"PK\x01\x02", b"PK\x09\x09"),
        lambda data: data[:-12] + struct.pack("<LL", 2**31, 2**31) + data[-4:],
        lambda data: PNG,
    ],
    ids=range(8),
)
def test_damaged_zips_say_so(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    packed = make_zip(tmp_path / "z.zip", {"1.png": PNG, "2.png": PNG})
    error = refused(changed(packed, change))
    assert error.code in ("photo_zip_damaged", "photo_files_many")
    assert "z.zip" in str(error) or error.code == "photo_files_many"


def test_a_damaged_entry_harms_no_other(tmp_path: Path) -> None:
    packed = make_zip(tmp_path / "z.zip", {"1.png": png(1), "2.png": png(2)})
    changed(packed, lambda data: data.replace(png(1)[50:90], bytes(40)))
    with open_photo_files([packed]) as found:
        with pytest.raises(UserError, match=r"1\.png is damaged or cut short \(Bad CRC-32"):
            found.photos[0].read()
        assert found.photos[1].read() == png(2)


def test_files_are_closed_with_the_block(tmp_path: Path) -> None:
    with open_photo_files([make_zip(tmp_path / "z.zip", {"1.png": PNG})]) as found:
        kept: PhotoFile = found.photos[0]
    with pytest.raises(UserError):
        kept.read()


# Nothing to take


def test_no_photo_says_what_there_is_and_what_is_allowed(tmp_path: Path) -> None:
    packed = make_zip(tmp_path / "z.zip", {"a.exe": b"", "b/c.txt": b"", "big.png": bytes(30_000_000), "d": b""})
    error = refused(packed)
    assert error.code == "photo_files_none"
    assert str(error) == (
        "There are no photos among 4 files (a.exe, b/c.txt, big.png (30 MB)). Give pictures (PNG, JPEG, WebP, AVIF, "
        "BMP, GIF, TIFF) of at most 25 MB each, or ZIPs of them."
    )
    assert "among 1 files (photos.rar)" in str(refused(save(tmp_path / "photos.rar")))
    assert "among 0 files" in str(refused(make_zip(tmp_path / "empty.zip", {})))
    assert "among 0 files" in str(refused())


@pytest.mark.parametrize("name", ["none.png", "none.zip", "folder", "x" * 5000 + ".png", "a\0b.png"])
def test_files_that_are_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    assert "There is no file" in str(refused(tmp_path / name))


def test_photos_say_where_they_come_from(tmp_path: Path) -> None:
    long = "鞋" * 200 + "/shoe.png"
    first, second = (
        make_zip(tmp_path / "a.zip", {long: PNG, "x.exe": b""}),
        make_zip(tmp_path / "b.zip", {"2.png": PNG}),
    )
    with open_photo_files([save(tmp_path / "1.png"), first, second]) as found:
        assert {(each.path, each.archive) for each in found.photos} == {("1.png", None), (long, 1), ("2.png", 2)}
        assert found.examples == ("x.exe",)
