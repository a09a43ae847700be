"""The sets of colors that an event chooses from, and what CSS can't reach of them.

That is: the colors of emails, of the browser's bar, of the icons and of the pictures that
messengers show. static/css/tokens.css has the same sets, and mixes the same shades.
"""

from functools import cache

# The first is the site's own.
DEFAULT = "sunrise"
SETS = {
    "sunrise": {
        "spruce": "#0f332d",
        "night": "#0c2420",
        "mist": "#f3f7f1",
        "sun": "#ffbb22",
        "poppy": "#bb2d14",
        "leaf": "#0b5f50",
    },
    "harbor": {
        "spruce": "#12304f",
        "night": "#0b1f35",
        "mist": "#f2f6fa",
        "sun": "#7cc4ee",
        "poppy": "#b3261e",
        "leaf": "#0d588f",
    },
    "jacaranda": {
        "spruce": "#371d4f",
        "night": "#201230",
        "mist": "#f8f5fa",
        "sun": "#cdaef2",
        "poppy": "#b3202c",
        "leaf": "#67329b",
    },
    "clay": {
        "spruce": "#45200f",
        "night": "#27140b",
        "mist": "#fbf5ee",
        "sun": "#f8a575",
        "poppy": "#a81438",
        "leaf": "#7d3d0d",
    },
}
WHITE = "#ffffff"


@cache
def colors(name: str) -> dict[str, str]:
    """The light scheme of a set. In tokens.css, "page" is --paper and "quiet" --muted."""
    palette = SETS.get(name, SETS[DEFAULT])
    ink, page = palette["spruce"], palette["mist"]
    return {
        "ink": ink,
        "page": page,
        "card": WHITE,
        "sun": palette["sun"],
        "alarm": palette["poppy"],
        "link": palette["leaf"],
        "quiet": mix(ink, 74, page),
        "line": mix(ink, 18, page),
    }


@cache
def dark_colors(name: str) -> dict[str, str]:
    """The dark scheme of a set. Each color has a rule in templates/mails/base.html."""
    palette = SETS.get(name, SETS[DEFAULT])
    ink, page = palette["mist"], palette["night"]
    return {
        "ink": ink,
        "page": page,
        "head": mix(page, 72, palette["leaf"]),
        "card": mix(page, 91, ink),
        "panel": mix(page, 96, ink),
        "sun": palette["sun"],
        "alarm": mix(palette["poppy"], 52, WHITE),
        "link": mix(palette["sun"], 78, ink),
        "quiet": mix(ink, 76, page),
        "line": mix(ink, 28, page),
    }


def mix(first: str, percent: float, second: str) -> str:
    """What CSS makes of `color-mix(in oklab, first percent%, second)`, as #rrggbb.

    https://www.w3.org/TR/css-color-4/#color-conversion-code
    """
    share = percent / 100
    mixed = [
        share * one + (1 - share) * other
        for one, other in zip(_oklab(first), _oklab(second), strict=True)
    ]
    return _hex(mixed)


def _linear(color: str) -> list[float]:
    """Red, green and blue as amounts of light."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def _oklab(color: str) -> list[float]:
    red, green, blue = _linear(color)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return [
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    ]


def _hex(oklab: list[float]) -> str:
    lightness, a, b = oklab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{_channel(each):02x}" for each in linear)


def _channel(light: float) -> int:
    light = min(1.0, max(0.0, light))
    encoded = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return round(encoded * 255)
