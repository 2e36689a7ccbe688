"""Colours by name, in English and Chinese, or as codes: what people type when they want "that, but red"."""

from __future__ import annotations

import colorsys
import difflib
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from bicyclegan.errors import UserError

Rgb: TypeAlias = tuple[int, int, int]

MAX_LENGTH = 40
"""Characters of a colour's name."""
SUGGESTIONS = 3


def _table(text: str) -> dict[str, Rgb]:
    """Names and codes in turns, "mustard #d4a017 off_white #f5f0e1", by name; "_" stands for a space."""
    words = text.split()
    return {name.replace("_", " "): _from_hex(code) for name, code in zip(words[::2], words[1::2], strict=True)}


def _from_hex(code: str) -> Rgb:
    """#rgb or #rrggbb."""
    digits = code[1:] if len(code) == 7 else "".join(2 * digit for digit in code[1:])
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


ENGLISH = _table("""
    red #cb1f2b orange #f07d1e yellow #f7d51d green #169048 blue #1c58bd purple #7b3399 navy #1f2d5c
    burgundy #6d1a2f wine #722f37 bordeaux #5c1a2b oxblood #5a1014 cherry #b3122d ruby #9b111e scarlet #e0241b
    raspberry #b3204d brick #a5402f terracotta #c4623f rust #a8482a blood_red #8a0a0a cardinal #b01b2e rose #e0607e
    blush #eac4c0 dusty_rose #c08a8a rose_gold #c9928b baby_pink #f6c6d0 neon_pink #ff3ea5
    peach #fbc4a0 apricot #f5b27e nude #e0bda0 tangerine #f28522 pumpkin #e0701a burnt_orange #bf5512 amber #f0a81e
    mustard #d0a021 ochre #c4852b saffron #f0b429 lemon #faea4b canary #f8e84a sunflower #f7c31e neon_yellow #e4ff1a
    champagne #ecd9b8 vanilla #f3e5ab cream #f6efd6 off_white #f4f0e4 ecru #d8cba8 eggshell #efe8d5 bone #e3dac9
    pearl #ece8de sand #d6c2a0 stone #b3a999 camel #bd8f5e taupe #8b7d70 khaki #b7a580 mushroom #b5a495 greige #bdb3a5
    caramel #ad6a34 cognac #9a4d26 toffee #8f5a33 cinnamon #9c5730 chestnut #7b3f2a mahogany #5f2118
    walnut #5c4033 hazel #8c6a3f coffee #5f4230 mocha #7b5b48 espresso #3d2a21 chocolate #5a3422 copper #b06a3c
    bronze #8a6a35 brass #b5964a brown #774a2b
    emerald #0f8a5f jade #1f9a70 mint #a5e3c4 sage #a3b18a moss #6b7a3a pistachio #b4d08c seafoam #9fdcc4
    army_green #555d3e military_green #555d3e bottle_green #0e4d3a hunter_green #2f5d3a racing_green #0c4a33
    kelly_green #3fa535 grass_green #5da130 apple_green #8dc63f neon_green #4dff3a matcha #9fb062 avocado #667c3e
    petrol #0f5a6b denim #3f5f8f jeans #3f5f8f cobalt #1246a8 sapphire #1a3f95 electric_blue #1f6bff klein_blue #002fa7
    baby_blue #b0d6ee ice_blue #cfe6f0 ink #1d2438 duck_egg #b8d8d0 cerulean #2a87c0
    periwinkle #929adf lilac #c5a9d9 lavender #bcaedd mauve #b08aa3 violet #7a3fb5 plum #713a63 aubergine #432138
    eggplant #432138 grape #5f3470 mulberry #8a2f5b heather #a093b0 amethyst #8f62b8
    charcoal #3b3e42 anthracite #33373b graphite #46494d gunmetal #454b50 slate #64707c pewter #8b9094 ash #b2b5b1
    smoke #8c8f92 jet #161616 ebony #2c2622 dark_gray #4a4b4d dark_grey #4a4b4d
""")
"""What the colours of CSS lack, or name otherwise than people who look for shoes. Its red, blue and navy are those of a
screen, which nothing in a photo has; its khaki is yellow; its dark gray is lighter than its gray."""

CHINESE = _table("""
    红 #cb1f2b 大红 #e5202a 正红 #d9101e 朱红 #e04a2c 酒红 #701c34 枣红 #7c1823 暗红 #851a1f 砖红 #a84a38 铁锈红 #a0482c
    玫红 #d6256b 玫瑰红 #d0285e 桃红 #ee6f85 西瓜红 #ee5666 樱桃红 #b3122d 胭脂 #9d2933 绯红 #c83c23 橘红 #ee5a24
    珊瑚 #f47c64 珊瑚红 #f06a55 紫红 #9e1f63
    粉 #f5b5c4 粉红 #f7a8b8 樱花粉 #fbd7dd 裸粉 #e6c3b8 藕粉 #ddb9b2 豆沙 #b9706e 肉 #e9c8ae 裸 #e0bda0
    橙 #f58220 橘 #f0812e 橘黄 #f89a33 橙黄 #f9a12b 橙红 #ee5a24 杏 #ecc9a0
    黄 #fcd91c 柠檬黄 #faea4b 鹅黄 #fae96b 明黄 #ffe100 姜黄 #d39b2f 土黄 #c39a4d 芥末黄 #cba135 荧光黄 #e4ff1a
    金 #d4af37 金黄 #f6c12b 香槟 #ecd9b8 香槟金 #d8bd8a 玫瑰金 #c9928b
    米 #efe4c8 米白 #f5f0e1 米黄 #efdfb8 奶白 #faf5e8 奶油 #f6efd6 乳白 #f8f4e9 象牙白 #fbf7ea 象牙 #fbf7ea 月白 #d6ecf0
    棕 #774a2b 褐 #684630 咖啡 #65432e 巧克力 #54332a 驼 #b08a60 焦糖 #ad6a34 栗 #60281e 卡其 #b7a580 沙 #d6c2a0
    茶 #96673c 赭 #9c5333 古铜 #8a6038 可可 #6e4a3a 红棕 #7b3a28 燕麦 #ddd0b8
    绿 #169048 草绿 #6da032 嫩绿 #a9d046 翠绿 #00a06a 墨绿 #12443a 森林绿 #226b35 橄榄绿 #6a6f32 橄榄 #6a6f32
    薄荷绿 #a5e3c4 薄荷 #a5e3c4 军绿 #555d3e 豆绿 #a9c27a 苹果绿 #8dc63f 荧光绿 #4dff3a 湖绿 #35b39b 松石绿 #40bdb0
    绿松石 #40bdb0 孔雀绿 #007a6c 祖母绿 #0f8a5f 碧绿 #35b98a 抹茶 #9fb062 抹茶绿 #9fb062 竹青 #789262 牛油果绿 #8a9a5b
    青 #12a0a0 青绿 #0f9f80 天青 #8fc7d2 蒂芙尼蓝 #0abab5
    蓝 #1c58bd 藏青 #233a63 藏蓝 #1f2d5c 海军蓝 #17264f 深蓝 #122a6b 天蓝 #73bfea 宝蓝 #2546b8 湖蓝 #30a5cf 水蓝 #a5d8ea
    冰蓝 #cfe6f0 雾霾蓝 #8099b0 牛仔蓝 #3f5f8f 牛仔 #3f5f8f 丹宁 #3f5f8f 克莱因蓝 #002fa7 钴蓝 #1246a8 孔雀蓝 #006a8e
    靛 #31357f 靛蓝 #2b4080 粉蓝 #b3d0e6 灰蓝 #6f879e 墨蓝 #1a2740
    紫 #7b3399 紫罗兰 #7a53ad 薰衣草 #b5a3d6 薰衣草紫 #b5a3d6 丁香 #c5a9d9 葡萄紫 #5f3470 茄紫 #48264c 藕荷 #e0c4cd
    绛紫 #7d3a50 香芋紫 #b09cc4 香芋 #b09cc4
    灰 #808080 深灰 #4a4b4d 浅灰 #cdcdcd 银 #c0c2c6 银灰 #b0b3b7 炭灰 #3b3e42 烟灰 #6b6b6e 铁灰 #545a60 石墨 #46494d
    黑 #000000 墨 #1e2024 漆黑 #0a0a0c 白 #ffffff 雪白 #fbfcfd
""")
"""Without the last 色, which may follow each."""

BASIC = (
    *("red", "orange", "yellow", "green", "blue", "purple", "violet", "pink"),
    *("brown", "gray", "grey", "black", "white", "gold", "cyan", "turquoise"),
)
"""What may follow another name, as in "mustard yellow" or "wine red"."""
TRADITIONAL = str.maketrans("紅黃綠藍銀淺淡駝軍絳駱煙鐵鏽磚棗櫻亞麥", "红黄绿蓝银浅淡驼军绛骆烟铁锈砖枣樱亚麦")


def parse_colour(text: str) -> Rgb:
    """A colour as red, green and blue, 0 to 255.

    Args:
        text: up to 40 characters: "#rgb", "#rrggbb", "rgb(1, 2, 3)"; an English name, in any case, with spaces or
            hyphens or none, after light, dark, pale, deep or bright; or a Chinese name, with or without 色, after
            深、浅、淡、暗 or 亮.

    Raises:
        UserError: for anything else, with the names that come nearest.
    """
    if not isinstance(text, str) or not 1 <= len(text.strip()) <= MAX_LENGTH:
        raise UserError(
            "colour_length",
            "A colour is given by a name or code of 1 to {limit} characters, such as navy, 墨绿 or #2e4e7e.",
            limit=MAX_LENGTH,
        )
    text = unicodedata.normalize("NFKC", text).strip().lower()
    if text.startswith("#") or re.match(r"rgb\b", text):
        return _parse_code(text)
    found = _find_chinese(text) if _is_chinese(text) else _find_english(text)
    if found is None:
        raise UserError(
            "colour_unknown",
            "There is no colour called {text!r} here. Near it: {near}. Codes such as #2e4e7e are always understood.",
            text=text,
            near=", ".join(_nearest(text)),
        )
    return found


def _parse_code(text: str) -> Rgb:
    if re.fullmatch(r"#([0-9a-f]{3}|[0-9a-f]{6})", text):
        return _from_hex(text)
    numbers = re.fullmatch(r"rgb\s*\(\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*[, ]\s*(\d{1,3})\s*\)", text, re.ASCII)
    levels = [int(level) for level in numbers.groups()] if numbers else [256]
    if max(levels) > 255:
        raise UserError(
            "colour_code",
            "{text!r} is no colour code: write #rgb, #rrggbb or rgb(red, green, blue) with 0 to 255 each.",
            text=text,
        )
    return levels[0], levels[1], levels[2]


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


# Names


@lru_cache(maxsize=1)
def _english_names() -> dict[str, Rgb]:
    """All English names as people write them: those of CSS, with ours before them."""
    from PIL.ImageColor import colormap, getrgb

    # The map's values change from text to numbers as Pillow uses them.
    return {_spaced(name): getrgb(name)[:3] for name in list(colormap)} | ENGLISH


def _spaced(name: str) -> str:
    """ "darkseagreen" -> "dark sea green"."""
    name = re.sub(r"^(light|dark|medium|pale|deep|hot|midnight)(?=.)", r"\1 ", name)
    return re.sub(rf"(?<=[^ ])({'|'.join(BASIC)})$", r" \1", name)


@lru_cache(maxsize=1)
def _english_keys() -> dict[str, Rgb]:
    return {_joined(name): colour for name, colour in _english_names().items()}


def _joined(name: str) -> str:
    return re.sub(r"[\s\-_']", "", name)


def _find_english(text: str) -> Rgb | None:
    """By its whole name, as a shade of one, or without the basic colour that ends it."""
    names, key = _english_keys(), _joined(text)
    if key in names:
        return names[key]
    for word, shade in SHADES.items():
        if key.startswith(word) and key != word and (colour := _find_english(key.removeprefix(word))):
            return shade(colour)
    return next(
        (names[key.removesuffix(end)] for end in BASIC if key.endswith(end) and key[: -len(end)] in names), None
    )


def _find_chinese(text: str) -> Rgb | None:
    key = re.sub(r"[\s的]", "", text).translate(TRADITIONAL)
    key = key.removesuffix("色")
    if key in CHINESE:
        return CHINESE[key]
    shade = CHINESE_SHADES.get(key[:1])
    return shade(CHINESE[key[1:]]) if shade and key[1:] in CHINESE else None


def _nearest(text: str) -> list[str]:
    """Known names most like this one; well-known ones where none is."""
    if _is_chinese(text):
        letters = set(text.translate(TRADITIONAL)) - {"色"}
        alike = sorted(
            (name for name in CHINESE if letters & set(name)), key=lambda name: (-len(letters & set(name)), len(name))
        )
        return alike[:SUGGESTIONS] or ["红", "藏青", "墨绿"]
    alike = difflib.get_close_matches(text, _english_names(), SUGGESTIONS)
    return alike or ["red", "navy", "forest green"]


# Shades, in hue, lightness and saturation


def _light(colour: Rgb) -> Rgb:
    return _change(colour, lambda light, full: (light + 0.45 * (1 - light), 0.85 * full))


def _pale(colour: Rgb) -> Rgb:
    return _change(colour, lambda light, full: (light + 0.65 * (1 - light), 0.7 * full))


def _dark(colour: Rgb) -> Rgb:
    return _change(colour, lambda light, full: (0.55 * light, full))


def _deep(colour: Rgb) -> Rgb:
    return _change(colour, lambda light, full: (0.65 * light, 1.15 * full))


def _bright(colour: Rgb) -> Rgb:
    """Full and neither dark nor pale; greys stay what they are."""
    return _change(colour, lambda light, full: (0.4 * light + 0.3, 1.6 * full) if full > 0.05 else (light, full))


def _change(colour: Rgb, change: Callable[[float, float], tuple[float, float]]) -> Rgb:
    """The same hue with other lightness and saturation, 0 to 1 each; saturation that leaves its range is held to it."""
    hue, light, full = colorsys.rgb_to_hls(*(level / 255 for level in colour))
    light, full = change(light, full)
    red, green, blue = colorsys.hls_to_rgb(hue, light, min(1.0, full))
    return round(255 * red), round(255 * green), round(255 * blue)


SHADES = {"light": _light, "dark": _dark, "pale": _pale, "deep": _deep, "bright": _bright}
CHINESE_SHADES = {"深": _deep, "浅": _light, "淡": _pale, "暗": _dark, "亮": _bright, "鲜": _bright}
