"""Colours by name and code, in two languages; what is not known is answered with what comes near."""

from __future__ import annotations

import colorsys

import pytest
from PIL import ImageColor

from bicyclegan.colour_words import CHINESE, ENGLISH, MAX_LENGTH, parse_colour
from bicyclegan.errors import UserError

HUES = {  # degrees
    "red": (338, 20), "orange": (14, 45), "yellow": (40, 61), "green": (62, 172), "blue": (195, 245),
    "purple": (250, 310), "pink": (320, 360),
}  # fmt: skip


def hls(text: str) -> tuple[float, float, float]:
    hue, light, full = colorsys.rgb_to_hls(*(level / 255 for level in parse_colour(text)))
    return 360 * hue, light, full


def is_hue(text: str, name: str) -> bool:
    low, high = HUES[name]
    hue = hls(text)[0]
    return low <= hue <= high if low < high else hue >= low or hue <= high


def refused(text: object) -> str:
    with pytest.raises(UserError) as caught:
        parse_colour(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Codes


@pytest.mark.parametrize(
    ("text", "rgb"),
    [
        ("#abc", (170, 187, 204)),
        ("#2E4e7e", (46, 78, 126)),
        ("  #000 ", (0, 0, 0)),
        ("＃ffffff", (255, 255, 255)),
        ("rgb(1,2,3)", (1, 2, 3)),
        ("RGB( 255 , 0 , 10 )", (255, 0, 10)),
        ("rgb(1 2 3)", (1, 2, 3)),
    ],
)
def test_codes(text: str, rgb: tuple[int, int, int]) -> None:
    assert parse_colour(text) == rgb


@pytest.mark.parametrize(
    "text", ["#", "#12", "#1234", "#ggg", "#1234567", "rgb(1,2)", "rgb(256,0,0)", "rgb(-1,0,0)", "rgb"]
)
def test_codes_that_are_none(text: str) -> None:
    assert (
        refused(text) == f"{text!r} is no colour code: write #rgb, #rrggbb or rgb(red, green, blue) with 0 to 255 each."
    )


# English


@pytest.mark.parametrize("text", ["forest green", "Forest-Green", "FORESTGREEN", "forest_green", " forest  green "])
def test_names_however_they_are_written(text: str) -> None:
    assert parse_colour(text) == (34, 139, 34)


def test_every_name_of_css_is_known() -> None:
    ours = {name.replace(" ", "") for name in ENGLISH}
    for name in ImageColor.colormap:
        colour = parse_colour(name)
        assert name in ours or colour == ImageColor.getrgb(name)


@pytest.mark.parametrize(
    "name",
    ["burgundy", "mustard", "cream", "charcoal", "camel", "taupe", "off white", "off-white", "denim", "rust", "mint"],
)
def test_names_that_css_lacks(name: str) -> None:
    assert len(parse_colour(name)) == 3


def test_dark_grey_is_darker_than_grey() -> None:
    """In CSS it is not."""
    assert max(parse_colour("dark grey")) < min(parse_colour("grey")) < min(parse_colour("light grey"))


@pytest.mark.parametrize("name", ["burgundy", "emerald", "denim", "mustard", "mauve"])
def test_shades_keep_the_hue(name: str) -> None:
    hue, light, full = hls(name)
    for word in ("light", "dark", "pale", "deep", "bright"):
        assert hls(f"{word} {name}")[0] == pytest.approx(hue, abs=6)
        assert parse_colour(f"{word}-{name}") == parse_colour(f"{word}{name}") == parse_colour(f"{word} {name}")
    assert hls(f"pale {name}")[1] > hls(f"light {name}")[1] > light > hls(f"deep {name}")[1] > hls(f"dark {name}")[1]
    assert hls(f"bright {name}")[2] > full
    assert hls(f"pale {name}")[2] <= full


def test_shades_of_greys_are_greys() -> None:
    for text in ("bright black", "light black", "dark white", "deep grey"):
        assert len(set(parse_colour(text))) == 1


def test_a_basic_colour_may_follow_a_name() -> None:
    assert parse_colour("mustard yellow") == parse_colour("mustard")
    assert parse_colour("wine red") == parse_colour("wine")
    assert parse_colour("dark denim blue") == parse_colour("dark denim")
    assert parse_colour("navy blue") == parse_colour("navy")


# Chinese


@pytest.mark.parametrize("name", CHINESE)
def test_chinese_names_with_and_without_the_word_for_colour(name: str) -> None:
    assert parse_colour(name) == parse_colour(f"{name}色") == parse_colour(f" {name} 的")


def test_there_are_about_a_hundred_and_more() -> None:
    assert len(CHINESE) >= 100


@pytest.mark.parametrize(
    ("names", "hue"),
    [
        ("红 大红 正红 朱红 酒红", "red"),
        ("橙 橘 橘黄 驼 咖啡 棕", "orange"),
        ("黄 柠檬黄 金 卡其 米", "yellow"),
        ("绿 草绿 墨绿 森林绿 橄榄绿 薄荷绿", "green"),
        ("蓝 藏青 藏蓝 天蓝 宝蓝 靛", "blue"),
        ("紫 薰衣草 葡萄紫", "purple"),
        ("粉 粉红 玫红", "pink"),
        ("red cherry brick", "red"),
        ("navy denim cobalt sky_blue", "blue"),
        ("camel tan rust", "orange"),
    ],
)
def test_names_have_their_hue(names: str, hue: str) -> None:
    assert [name for name in names.split() if not is_hue(name, hue)] == []


def test_dark_names_are_dark_and_pale_names_pale() -> None:
    assert all(
        max(parse_colour(name)) <= 126 for name in ("藏青", "墨绿", "深灰", "海军蓝", "navy", "charcoal", "espresso")
    )
    assert all(min(parse_colour(name)) >= 180 for name in ("米白", "象牙白", "浅灰", "cream", "off white", "月白"))
    assert parse_colour("黑") == (0, 0, 0)
    assert parse_colour("白色") == (255, 255, 255)


def test_chinese_shades() -> None:
    for name in ("紫", "棕", "绿"):
        light = hls(name)[1]
        assert hls(f"淡{name}")[1] > hls(f"浅{name}色")[1] > light > hls(f"深{name}色")[1] > hls(f"暗{name}")[1]
    assert parse_colour("深灰") == CHINESE["深灰"], "what the table holds comes first"
    assert hls("亮绿")[2] > hls("绿")[2]


def test_traditional_characters() -> None:
    for traditional, simple in (
        ("紅色", "红"),
        ("黃", "黄"),
        ("墨綠", "墨绿"),
        ("藏藍", "藏蓝"),
        ("淺灰", "浅灰"),
        ("駝色", "驼"),
    ):
        assert parse_colour(traditional) == parse_colour(simple)


# Mistakes


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("mustrad", "mustard"),
        ("forest gren", "forest green"),
        ("burgandy", "burgundy"),
        ("奶茶", "茶"),
        ("翡翠绿", "翠绿"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(text: str, near: str) -> None:
    message = refused(text)
    assert message.startswith(f"There is no colour called {text!r} here. Near it: ")
    suggested = message.split("Near it: ")[1].split(". Codes")[0].split(", ")
    assert suggested[0] == near
    assert all(parse_colour(name) for name in suggested)


@pytest.mark.parametrize("text", ["xyzzy", "色", "某色", "светло", "{text}", "🙂"])
def test_what_is_like_nothing_is_answered_with_well_known_ones(text: str) -> None:
    message = refused(text)
    assert "Near it: 红, 藏青, 墨绿." in message or "Near it: red, navy, forest green." in message


@pytest.mark.parametrize("text", ["", "   ", "x" * (MAX_LENGTH + 1), "红" * 5000, None, 5, b"red", ["red"], True])
def test_what_is_no_short_text(text: object) -> None:
    assert refused(text).startswith("A colour is given by a name or code of 1 to 40 characters")


def test_a_modifier_alone_is_no_colour() -> None:
    for text in ("light", "dark", "深", "深色", "brightest"):
        assert "There is no colour called" in refused(text)
