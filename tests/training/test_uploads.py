"""Uploaded pictures: where they end up, what they are called, and what a hostile upload cannot do."""

from __future__ import annotations

import io
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from picture_sets import photo
from PIL import Image

from bicyclegan.data.files import find_files
from bicyclegan.errors import UserError
from bicyclegan.training import uploads
from bicyclegan.training.config import DataConfig
from bicyclegan.training.upload_names import MAX_PART, safe_part
from bicyclegan.training.uploads import Received, receive


def png(seed: int = 0, side: int = 32) -> bytes:
    buffer = io.BytesIO()
    photo(seed, side, side).save(buffer, "PNG")
    return buffer.getvalue()


PNG = png()
ELF = b"\x7fELF" + bytes(200)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return tmp_path / "run" / "pictures"


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Path]:
    """`make_zip({name: bytes} or [names], called="z.zip")`."""
    folder = tmp_path / "uploaded"

    def make(entries: dict | Sequence, called: str = "z.zip", **options) -> Path:
        path = folder / str(len([*folder.glob("*")])) / called
        path.parent.mkdir(parents=True)
        pairs = entries.items() if isinstance(entries, dict) else ((name, png(k)) for k, name in enumerate(entries))
        with zipfile.ZipFile(path, "w", **options) as packed:
            for name, data in pairs:
                packed.writestr(name, data)
        return path

    return make


@pytest.fixture
def upload(tmp_path: Path, pictures: Path) -> Callable[..., Received]:
    """`upload({name: bytes}, *zips)`: files as a browser sends them, under names of the server."""

    def upload(files: dict[str, bytes] | None = None, *zips: Path, **options) -> Received:
        folder = tmp_path / "sent"
        folder.mkdir(exist_ok=True)
        paths, names = [], []
        for name, data in (files or {}).items():
            paths.append(folder / str(len(list(folder.iterdir()))))
            paths[-1].write_bytes(data)
            names.append(name)
        return receive([*paths, *zips], [*names, *(each.name for each in zips)], pictures, **options)

    return upload


def held(folder: Path) -> list[str]:
    """All files, hidden ones too, and folders without any."""
    if not folder.exists():
        return []
    inside = sorted(folder.rglob("*"))
    empty = [f"{path.relative_to(folder)}/" for path in inside if path.is_dir() and not any(path.iterdir())]
    return [path.relative_to(folder).as_posix() for path in inside if not path.is_dir()] + empty


def refused(take: Callable, *args, **options) -> UserError:
    with pytest.raises(UserError) as caught:
        take(*args, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def pairs_of(folder: Path) -> list[tuple[str, str]]:
    """Sketch and photo of each example, as training finds them."""
    found = find_files(DataConfig(), str(folder))
    assert found.layout == "folders"
    both = [*found.train, *found.validation]
    return sorted((each.sketch.read_bytes()[-60:], each.photo.read_bytes()[-60:]) for each in both)


# What is kept


def test_pictures_are_kept_byte_for_byte(upload, make_zip, pictures: Path) -> None:
    packed = make_zip({"c.png": png(3)}, compression=zipfile.ZIP_DEFLATED)
    got = upload({"a.png": png(1), "b.PNG": png(2)}, packed)
    assert got == Received(kept=3, known=0, skipped=0, examples=(), problems=(), left_out=0)
    assert held(pictures) == ["a.png", "b.PNG", "c.png"]
    assert [(pictures / name).read_bytes() for name in held(pictures)] == [png(1), png(2), png(3)]
    assert not (pictures / "a.png").stat().st_mode & 0o111


def test_a_second_drop_adds_to_the_first(upload, pictures: Path) -> None:
    upload({"a.png": png(1)})
    assert upload({"b.png": png(2)}).kept == 1
    assert held(pictures) == ["a.png", "b.png"]


def test_the_uploaded_files_are_left_alone(upload, make_zip) -> None:
    packed = make_zip(["1.png"])
    upload({}, packed)
    assert packed.is_file()


def test_progress_counts_up_to_all(upload) -> None:
    told: list[tuple[int, int]] = []
    upload({f"{k}.png": png(k) for k in range(3)}, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


# Folders


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["shoes/1.png", "shoes/2.png"], ["1.png", "2.png"]),
        (["my/own/c/1.png", "my/own/d/2.png"], ["c/1.png", "d/2.png"]),
        (["c/1.png", "2.png"], ["2.png", "c/1.png"]),
        (["set/trainA/1.png", "set/trainB/1.png"], ["trainA/1.png", "trainB/1.png"]),
        (["set/train/A/1.png", "set/train/B/1.png"], ["train/A/1.png", "train/B/1.png"]),
        (["edges2shoes/train/1.png", "edges2shoes/val/2.png"], ["train/1.png", "val/2.png"]),
        (["x/train/shoes/1.png", "x/train/shoes/2.png"], ["train/shoes/1.png", "train/shoes/2.png"]),
        (["A/1.png"], ["A/1.png"]),
        (["all/Photos/1.png"], ["Photos/1.png"]),
        (["only/one.png"], ["one.png"]),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_folders_that_mean_something_stay(upload, make_zip, pictures, names, kept, zipped) -> None:
    upload({}, make_zip(names)) if zipped else upload({name: png(k) for k, name in enumerate(names)})
    assert held(pictures) == kept


def test_each_zip_has_its_own_wrapping(upload, make_zip, pictures: Path) -> None:
    upload({"boots/9.png": PNG}, make_zip(["shoes/1.png"]), make_zip(["hats/big/2.png"]))
    assert held(pictures) == ["1.png", "2.png", "9.png"]


@pytest.mark.parametrize(("a", "b"), [("trainA.zip", "trainB.zip"), ("edges.zip", "photos.zip"), ("a.zip", "b.zip")])
def test_zips_called_like_two_sides_are_two_sides(upload, make_zip, pictures: Path, a: str, b: str) -> None:
    upload({}, make_zip(["1.png", "2.png", "3.png"], a), make_zip(["x/1.png", "x/2.png", "x/3.png"], b))
    assert held(pictures) == sorted(f"{Path(side).stem}/{k}.png" for side in (a, b) for k in (1, 2, 3))
    assert len(pairs_of(pictures)) == 3


# Names


@pytest.mark.parametrize(
    "name", ["红色的鞋.png", "鞋/👟👩‍🎨.png", "fancé été.png", "CON.png", "a'b\"c$(x).png", "..a.b.png"[2:]]
)
def test_names_stay_what_they_are(upload, make_zip, pictures: Path, name: str) -> None:
    upload({"x.png": png(9), name: png(1)})
    upload({}, make_zip({"y.png": png(8), f"z{name}": png(2)}))
    assert {name, f"z{name}"} <= set(held(pictures))


@pytest.mark.parametrize("raw", ["鞋/红色的鞋.png".encode(), "鞋/红色的鞋.png".encode("gbk")])
def test_names_without_the_flag_of_utf_8(upload, make_zip, pictures: Path, raw: bytes) -> None:
    packed = make_zip({"x" * len(raw): PNG, "0.png": png(1)})
    packed.write_bytes(packed.read_bytes().replace(b"x" * len(raw), raw))
    upload({}, packed)
    assert held(pictures) == ["0.png", "鞋/红色的鞋.png"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../evil.png", "evil.png"),
        ("/etc/cron.d/evil.png", "evil.png"),
        ("..\\..\\evil.png", "evil.png"),
        ("C:\\Windows\\evil.png", "evil.png"),
        ("C:evil.png", "C_evil.png"),
        ("c/../../d/evil.png", "evil.png"),
        ("evil\x00\n\x1b[31m.png", "evil [31m.png"),
        ("tail . .png", "tail.png"),
        ("c./d /evil.png", "evil.png"),
        ("gnp\u202e.png", "gnp.png"),
    ],
)
def test_names_cannot_leave_the_folder(upload, make_zip, tmp_path, pictures: Path, name: str, kept: str) -> None:
    before = held(tmp_path)
    if "\x00" not in name:
        upload({}, packed := make_zip([name]))
        assert held(pictures) == [kept]
        (pictures / kept).unlink()
        packed.unlink()
    upload({name: PNG})
    assert held(pictures) == [kept]
    assert set(held(tmp_path)) - set(before) <= {f"run/pictures/{kept}", "sent/0", "uploaded/0/"}


def test_long_names_are_shortened_without_cutting_characters(upload, pictures: Path) -> None:
    long = "鞋" * 200
    upload({f"{long}/{long}1.png": png(1), f"{long}/{long}2.jpeg": png(2), "x.png": png(3)})
    [first, second] = [name for name in held(pictures) if name != "x.png"]
    for part in (*first.split("/"), *second.split("/")):
        assert len(part.encode()) <= 150
        assert set(part.split("~")[0]) == {"鞋"}
    assert first.split("/")[1] != second.split("/")[1], "they differ in what was cut off"


def test_a_part_is_shortened_the_same_way_whatever_its_ending() -> None:
    assert safe_part("y" * MAX_PART) == "y" * MAX_PART
    assert len(safe_part("👟" * 40).encode()) <= MAX_PART
    assert safe_part("x." + " ." * 3) == "x"
    assert safe_part(" . ") == "_"


def test_deep_folders_are_folded(upload, make_zip, pictures: Path) -> None:
    upload({}, make_zip(["trainA/" + "deep/" * 2000 + "1.png", "trainB/" + "deep/" * 2000 + "1.png", "x.png"]))
    assert [len(name.split("/")) for name in held(pictures)] == [9, 9, 1]


def test_a_folder_may_be_called_like_a_picture(upload, make_zip, pictures: Path) -> None:
    upload({}, make_zip(["a.png/b.png", "a.png", "c.png"]))
    assert held(pictures) == ["a.png", "a.png_/b.png", "c.png"]


# Twins


def test_twins_of_two_zips_get_a_number(upload, make_zip, pictures: Path) -> None:
    upload({"1.png": png(1)}, make_zip({"1.png": png(2)}), make_zip({"x/1.png": png(3), "x/2.png": png(4)}))
    assert held(pictures) == ["1 (2).png", "1 (3).png", "1.png", "2 (3).png"]
    assert [(pictures / name).read_bytes() for name in held(pictures)] == [png(2), png(3), png(1), png(4)]


def test_twins_that_differ_by_case_get_a_number(upload, make_zip, pictures: Path) -> None:
    upload({}, make_zip(["a.png", "A.png", "a (2).png", "b.PNG", "b.png", "c.jpg", "c.png"][:5]))
    names = held(pictures)
    assert len({name.casefold() for name in names}) == 5, names


def test_files_of_one_name_get_a_number(upload, pictures: Path, tmp_path: Path) -> None:
    paths = [tmp_path / str(k) for k in range(3)]
    for k, path in enumerate(paths):
        path.write_bytes(png(k))
    receive(paths, ["1.png"] * 3, pictures)
    assert held(pictures) == ["1 (2).png", "1 (3).png", "1.png"]


def test_pairs_stay_pairs_when_they_are_renamed(upload, make_zip, pictures: Path) -> None:
    """Both sides of a whole ZIP get the number, though only one of them is a twin."""

    def pairs(first: int, names: Sequence[str]) -> dict[str, bytes]:
        sides = {f"trainA/{name}.png": png(first + 100 + k) for k, name in enumerate(names)}
        return sides | {f"trainB/{name}.jpg": png(first + k) for k, name in enumerate(names)}

    upload({}, make_zip(pairs(0, "123")), make_zip(pairs(10, "34")))
    upload({}, make_zip(pairs(20, "35") | {"trainA/9.png": png(300)}))
    expected = [
        (png(first + 100 + k)[-60:], png(first + k)[-60:]) for first, n in ((0, 3), (10, 2), (20, 2)) for k in range(n)
    ]
    assert pairs_of(pictures) == sorted(expected)
    assert find_files(DataConfig(), str(pictures)).unpaired == ("trainA/9 (3)",)


def test_pairs_that_differ_by_case_stay_pairs(upload, make_zip, pictures: Path) -> None:
    names = ("x", "X", "y")
    sides = {f"A/{name}.png": png(100 + k) for k, name in enumerate(names)}
    upload({}, make_zip(sides | {f"B/{name}.png": png(k) for k, name in reversed([*enumerate(names)])}))
    assert pairs_of(pictures) == sorted((png(100 + k)[-60:], png(k)[-60:]) for k in range(3))


def test_sides_may_come_one_after_the_other(upload, make_zip, pictures: Path) -> None:
    upload({}, make_zip(["trainA/1.png", "trainA/2.png", "trainA/3.png"]))
    upload({}, make_zip(["trainB/1.png", "trainB/2.png", "trainB/3.png"]))
    assert len(pairs_of(pictures)) == 3


def test_the_same_drop_again_changes_nothing(upload, make_zip, pictures: Path) -> None:
    packed = make_zip(["s/1.png", "s/2.png"])
    upload({}, packed)
    got = upload({"3.png": png(3)}, packed)
    assert (got.kept, got.known) == (1, 2)
    assert upload({}, packed).kept == 0
    assert held(pictures) == ["1.png", "2.png", "3.png"]


def test_names_that_run_out_say_so(upload, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bicyclegan.training.upload_names.MAX_NUMBER", 3)
    upload({"a.png": png(1)})
    upload({"a.png": png(2)})
    assert refused(upload, {"a.png": png(3)}).code == "upload_names"
    assert held(pictures) == ["a (2).png", "a.png"]


# What is left out


def test_what_is_no_picture_is_counted(upload, make_zip, pictures: Path) -> None:
    inner = make_zip(["1.png"], "inner.zip").read_bytes()
    packed = make_zip({"1.png": PNG, "run.exe": b"MZ", "go.sh": b"#!/bin/sh", "inner.zip": inner, "n.txt": b"hello"})
    got = upload({}, packed)
    assert (got.kept, got.skipped, got.examples) == (1, 4, ("run.exe", "go.sh", "inner.zip"))
    assert held(pictures) == ["1.png"]


def test_broken_pictures_are_left_out_and_named(upload, pictures: Path) -> None:
    bad = {
        "elf.png": ELF,
        "script.jpg": b"#!/bin/sh\nrm -rf /\n" * 50,
        "empty.png": b"",
        "cut.png": PNG[: len(PNG) // 2],
        "tiny.png": png(0, 8),
        "page.png": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    }
    got = upload({"good.png": PNG, **bad})
    assert (got.kept, got.left_out, got.skipped) == (1, 6, 0)
    assert {str(problem).split()[0] for problem in got.problems} == bad.keys()
    assert held(pictures) == ["good.png"]


def test_a_picture_of_extreme_size_is_not_decoded(upload, pictures: Path) -> None:
    """A header that tells of 40,000 x 40,000 px, and one of 90 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def claims(width: int, height: int) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")

    got = upload({"good.png": PNG, "huge.png": claims(40_000, 40_000), "long.png": claims(100_000, 900)})
    assert [problem.code for problem in got.problems] == ["image_large", "image_large"]
    assert held(pictures) == ["good.png"]


def test_large_pictures_are_not_decoded_here(upload, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take long, and the data check does it in a process of its own."""
    monkeypatch.setattr(uploads, "load_image", lambda *_: pytest.fail("decoded"))
    buffer = io.BytesIO()
    Image.new("RGB", (1200, 1000)).save(buffer, "JPEG")
    assert upload({"large.jpg": buffer.getvalue()}).kept == 1


def test_only_the_first_problems_are_kept(upload) -> None:
    got = upload({"good.png": PNG, **{f"{k:02}.png": b"no" for k in range(25)}})
    assert (got.left_out, len(got.problems)) == (25, 20)


def test_nothing_to_keep_says_why(upload, make_zip, pictures: Path) -> None:
    assert refused(upload, {"elf.png": ELF}).code == "image_unknown"
    error = refused(upload, {"elf.png": ELF, "no.png": b""})
    assert error.code == "upload_none"
    assert "None of the 2 pictures can be used. The first: elf.png is not a picture" in str(error)
    assert refused(upload, {}).code == "photo_files_none"
    assert refused(upload, {"a.exe": ELF}).code == "photo_files_none"
    assert refused(upload, {}, make_zip({})).code == "photo_files_none"
    assert not pictures.exists()


# Uploads that mean harm


def bomb(path: Path, told: int | None = None) -> Path:
    """60 MB of nothing in 60 kB, and a good picture."""
    real = 60_000_000
    info = zipfile.ZipInfo("bomb.png")
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("good.png", PNG)
        with packed.open(info, "w") as file:
            for _ in range(60):
                file.write(bytes(real // 60))
    if told is not None:
        path.write_bytes(path.read_bytes().replace(struct.pack("<L", real), struct.pack("<L", told)))
    return path


def test_a_bomb_is_not_unpacked(upload, tmp_path: Path, pictures: Path) -> None:
    got = upload({}, bomb(tmp_path / "honest.zip"))
    assert (got.kept, got.skipped, got.examples) == (1, 1, ("bomb.png (60 MB)",))
    got = upload({}, bomb(tmp_path / "liar.zip", told=1000))
    assert (got.known, [problem.code for problem in got.problems]) == (1, ["image_damaged"])
    assert held(pictures) == ["good.png"]


def test_links_in_a_zip_are_not_followed(upload, make_zip, pictures: Path) -> None:
    packed = make_zip({"1.png": PNG})
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    folder = zipfile.ZipInfo("out")
    folder.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr(link, "/etc/passwd")
        file.writestr(folder, "/tmp")
        file.writestr("out/2.png", png(2))
    got = upload({}, packed)
    assert (got.kept, got.skipped) == (2, 2)
    assert held(pictures) == ["1.png", "out/2.png"]
    assert not any(path.is_symlink() for path in pictures.rglob("*"))


def test_a_locked_zip_ends_the_drop(upload, make_zip, pictures: Path) -> None:
    packed = make_zip(["1.png"])
    data = packed.read_bytes()
    at = data.index(b"PK\x01\x02") + 8
    packed.write_bytes(data[:at] + bytes([data[at] | 1]) + data[at + 1 :])
    assert refused(upload, {"good.png": PNG}, packed).code == "photo_zip_locked"
    assert not pictures.exists()


def test_a_damaged_zip_ends_the_drop(upload, make_zip, pictures: Path) -> None:
    upload({"old.png": png(5)})
    packed = make_zip(["1.png"])
    packed.write_bytes(packed.read_bytes()[:-10])
    assert refused(upload, {"good.png": PNG}, packed).code == "photo_zip_damaged"
    assert held(pictures) == ["old.png"]


def test_more_than_100_000_files_are_refused(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "1.png"
    path.write_bytes(PNG)
    assert refused(receive, [path] * 100_001, [], pictures).code == "photo_files_many"
    packed = tmp_path / "z.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for k in range(100_001):
            file.writestr(f"{k}.png", b"")
    assert refused(receive, [packed], [], pictures).code == "photo_files_many"
    assert not pictures.exists()


# Limits


def test_pictures_have_a_limit_over_all_drops(upload, make_zip, pictures: Path) -> None:
    upload({"1.png": png(1), "2.png": png(2)}, limit=3)
    error = refused(upload, {"3.png": png(3), "4.png": png(4)}, limit=3)
    assert (error.code, error.values["count"]) == ("upload_many", 4)
    assert held(pictures) == ["1.png", "2.png"]
    assert upload({"1.png": png(1), "2.png": png(2), "3.png": png(3)}, limit=3).kept == 1


def test_bytes_have_a_limit_over_all_drops(upload, pictures: Path) -> None:
    first = upload({"1.png": png(1)}, max_bytes=len(png(1)) + 10)
    assert first.kept == 1
    assert refused(upload, {"2.png": png(2)}, max_bytes=len(png(1)) + 10).code == "upload_large"
    assert held(pictures) == ["1.png"]


def test_room_is_asked_for_before_it_is_taken(upload, make_zip, pictures: Path) -> None:
    asked: list[int] = []

    def room(size: int) -> None:
        asked.append(size)
        if sum(asked) > 1_000_000:
            raise UserError("disk_quota", "Full.")

    upload({"1.png": png(1)}, room=room)
    assert asked == [len(png(1))]
    noise = {f"{k}.bmp": _bmp(k) for k in range(8)}
    packed = make_zip(noise, compression=zipfile.ZIP_DEFLATED)
    assert packed.stat().st_size < 100_000
    assert refused(upload, {}, packed, room=room).code == "disk_quota", "it unpacks to more than was uploaded"
    assert held(pictures) == ["1.png"]


def _bmp(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (200, 200), (shade, 0, 0)).save(buffer, "BMP")
    return buffer.getvalue()


# Ends before the end


def test_a_stop_leaves_nothing(upload, pictures: Path) -> None:
    upload({"old.png": png(9)})
    answers = iter([False, False, True])
    error = refused(upload, {f"{k}.png": png(k) for k in range(5)}, stopped=lambda: next(answers))
    assert error.code == "upload_stopped"
    assert held(pictures) == ["old.png"]


def test_what_progress_raises_ends_the_drop(upload, pictures: Path) -> None:
    def leave(done: int, total: int) -> None:
        if done == 2:
            raise RuntimeError("left")

    with pytest.raises(RuntimeError, match="left"):
        upload({f"{k}.png": png(k) for k in range(5)}, progress=leave)
    assert not pictures.exists()


def test_a_full_disk_leaves_nothing(upload, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload({"old.png": png(9)})
    real, calls = Path.rename, []

    def full(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", full)
    error = refused(upload, {f"d{k}/{k}.png": png(k) for k in range(5)})
    assert error.code == "upload_disk"
    assert "No space left" in str(error)
    assert held(pictures) == ["old.png"]


def test_what_a_killed_process_left_goes(upload, pictures: Path) -> None:
    (pictures / ".drop-dead").mkdir(parents=True)
    (pictures / ".drop-dead" / "0").write_bytes(PNG)
    upload({"1.png": PNG})
    assert held(pictures) == ["1.png"]


def test_drops_come_in_one_at_a_time(upload, tmp_path: Path, pictures: Path) -> None:
    """A second one waits, and can be stopped meanwhile."""
    inside, go_on = threading.Event(), threading.Event()

    def hold(done: int, total: int) -> None:
        inside.set()
        assert go_on.wait(10)

    first = threading.Thread(target=upload, args=({"1.png": png(1)},), kwargs={"progress": hold})
    first.start()
    assert inside.wait(10)
    path = tmp_path / "2"
    path.write_bytes(png(2))
    assert refused(receive, [path], ["1.png"], pictures, stopped=lambda: True).code == "upload_stopped"
    second = threading.Thread(target=receive, args=([path], ["1.png"], pictures))
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    assert held(pictures) == ["1 (2).png", "1.png"]
