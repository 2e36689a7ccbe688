"""Other colours for the object of a photo, so that a model learns that any shoe may be red.

Works in CIE Lab as OpenCV stores it in 8 bits: L* times 2.55, a* and b* plus 128.
"""

from __future__ import annotations

import colorsys

import numpy as np

GREY_CHROMA = (10.0, 22.0)
"""Chroma in Lab up to which a pixel is fully grey, and from which it is coloured."""
DYED_CHROMA = (20.0, 40.0)
"""The same for what a dye covers: it also hides the cast that grey cloth often has."""
GREY_OBJECT = 0.6
"""Share of grey in an object from which the object itself is dyed: turning the hue of grey does nothing."""
TURN = (40.0, 320.0)
"""Degrees of hue that an object on a plain background is turned by."""
SLIGHT_TURN = (-25.0, 25.0)
"""Degrees of hue for a whole scene: its sky and leaves have colours that people know."""
GAIN = (0.8, 1.3)
"""Factor on chroma."""
DYE_SATURATION, DYE_VALUE = (0.45, 0.9), (0.35, 0.95)
"""Range of the dyes for grey objects, in HSV."""
GAMMA = (0.4, 2.5)
"""How far a dye may lighten a black object or darken a white one: exponent on lightness."""
SKIN_LOW, SKIN_HIGH = (90.0, 12.0, 20.0), (235.0, 42.0, 80.0)
"""Where human skin lies: L* times 2.55, chroma, hue in degrees."""
SKIN_SHARE = 0.35
"""Share of skin colour in an object above which it must be leather or cloth."""
SKIN_OF_WARM = 0.7
"""Share of all brown, red and yellow pixels that are in the colours of skin: less in the highlights of leather."""


def recolour(photo: np.ndarray, random: np.random.RandomState, mask: np.ndarray | None) -> np.ndarray:
    """The photo with its object in other colours at the same or, if it was grey, another lightness.

    photo: uint8 (H, W, 3). mask: bool (H, W), True = object on a plain background, which stays as it is;
    None turns the hue of the whole scene a little. Skin that is a smaller part of the object stays, too.
    """
    if mask is None:
        light, a, b = _to_lab(photo)
        return _to_rgb(light, *_turned(a, b, random, SLIGHT_TURN))
    result = photo.copy()
    if mask.any():
        box = _bounds(mask)
        result[box] = _recolour_object(photo[box], random, mask[box])
    return result


def _recolour_object(photo: np.ndarray, random: np.random.RandomState, mask: np.ndarray) -> np.ndarray:
    import cv2

    light, a, b = _to_lab(photo)
    chroma, hue = cv2.cartToPolar(a, b, angleInDegrees=True)
    mask = mask & ~_skin(light, chroma, hue, mask)
    a, b = _turned(a, b, random, TURN)
    if mask.any() and _falling(chroma, *GREY_CHROMA)[mask].mean() >= GREY_OBJECT:
        light, a, b = _dyed(light, a, b, _falling(chroma, *DYED_CHROMA), mask, random)
    soft = cv2.blur(mask.astype(np.float32), (3, 3))
    return cv2.blendLinear(_to_rgb(light, a, b), np.ascontiguousarray(photo), soft, 1 - soft)


def _turned(
    a: np.ndarray, b: np.ndarray, random: np.random.RandomState, degrees: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """a* and b* turned by a random angle and made stronger or weaker."""
    angle, gain = np.radians(random.uniform(*degrees)), random.uniform(*GAIN)
    cos, sin = np.float32(gain * np.cos(angle)), np.float32(gain * np.sin(angle))
    return cos * a - sin * b, sin * a + cos * b


def _dyed(
    light: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    grey: np.ndarray,
    mask: np.ndarray,
    random: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lightness, a*, b* with all greys as shades of one colour: from black through the dye to white."""
    import cv2

    dye = _random_dye(random)
    usual = float(np.median(light[mask & (grey > 0.5)])) / 255
    gamma = np.clip(np.log(dye[0]) / np.log(np.clip(usual, 0.02, 0.98)), *GAMMA)
    levels = (np.arange(256) / 255.0) ** gamma
    strength = np.minimum(levels / dye[0], (1 - levels) / (1 - dye[0]))
    curves = np.stack([255 * levels, dye[1] * strength, dye[2] * strength], axis=1).astype(np.float32)
    shades = cv2.split(cv2.LUT(cv2.merge([light] * 3), curves[None]))
    new, a, b = (each + grey * (shade - each) for each, shade in zip((light, a, b), shades, strict=True))
    return _as_bytes(new), a, b


def _random_dye(random: np.random.RandomState) -> tuple[float, float, float]:
    """Lightness from 0 to 1, a* and b* of a random vivid colour that a screen can show."""
    import cv2

    rgb = colorsys.hsv_to_rgb(random.uniform(), random.uniform(*DYE_SATURATION), random.uniform(*DYE_VALUE))
    light, a, b = cv2.cvtColor(np.float32([[rgb]]), cv2.COLOR_RGB2LAB)[0, 0].tolist()
    return min(max(light / 100, 0.05), 0.95), a, b


def _skin(light: np.ndarray, chroma: np.ndarray, hue: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Bool (H, W): pixels of the object in the colours of skin; none of them if they seem to be its material."""
    light_ok, chroma_ok, hue_ok = (
        (values >= low) & (values <= high)
        for values, low, high in zip((light, chroma, hue), SKIN_LOW, SKIN_HIGH, strict=True)
    )
    warm = mask & hue_ok & (chroma >= SKIN_LOW[1])
    skin = warm & light_ok & chroma_ok
    count = np.count_nonzero(skin)
    is_skin = SKIN_OF_WARM * np.count_nonzero(warm) < count < SKIN_SHARE * np.count_nonzero(mask)
    return skin if is_skin else np.zeros_like(mask)


def _bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """The smallest box around the object, and one pixel more for its soft border."""
    lines = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    rows, columns = (slice(max(0, int(line[0]) - 1), int(line[-1]) + 2) for line in lines)
    return rows, columns


def _falling(values: np.ndarray, start: float, end: float) -> np.ndarray:
    """1 up to `start`, 0 from `end` on, linear between them."""
    return ((end - values) * np.float32(1 / (end - start))).clip(0, 1)


def _to_lab(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lightness uint8 and a*, b* float32."""
    import cv2

    light, a, b = cv2.split(cv2.cvtColor(photo, cv2.COLOR_RGB2LAB))
    return light, a - np.float32(128), b - np.float32(128)


def _to_rgb(light: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(cv2.merge([light, _as_bytes(a + 128), _as_bytes(b + 128)]), cv2.COLOR_LAB2RGB)


def _as_bytes(values: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.add(values, 0.0, dtype=cv2.CV_8U)  # rounds and clips
