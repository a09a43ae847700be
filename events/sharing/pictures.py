"""Pictures that show an event where its address is shared, and the site's icon on phones' screens.

Other sites don't take the SVG that our own pages use.
"""

import io
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import resources

from django.conf import settings
from django.template.loader import render_to_string
from PIL import Image, ImageDraw, ImageFont, ImageOps

from events.models import StoredImage
from events.sharing import palette
from events.sharing.drawings import draw

# What Facebook, Slack and others show without cutting it off (https://ogp.me).
WIDTH, HEIGHT = 1200, 630
MARGIN = 64
POSTER_HEIGHT = 200
ICON_SIZE = 180
TITLE_SIZES = (128, 112, 96, 84, 72, 60, 50)
MAX_TITLE_LINES = 4
# The font of our pages' headings has only these letters. Another one has those of most alphabets.
HEADINGS = settings.BASE_DIR / "static" / "fonts" / "barlow-condensed-800.woff2"
IN_HEADINGS = re.compile(r"[ -~\u00a0-\u00ab\u00ad-\u00b0\u00bf-\u00ff–—‘’“”•…]*")


@cache
def _font(size: int, *, has_few_letters: bool) -> ImageFont.FreeTypeFont:
    if has_few_letters:
        return ImageFont.truetype(HEADINGS, size)
    file = resources.files("font_source_sans_pro") / "files" / "SourceSansPro-Bold.ttf"
    return ImageFont.truetype(io.BytesIO(file.read_bytes()), size)


def _font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    return _font(size, has_few_letters=IN_HEADINGS.fullmatch(text) is not None)


# Some 30 kilobytes each, and with an own picture 150.
@lru_cache(maxsize=200)
def shared(title: str, host: str, when: str, poster: str, colors: str, own_key: str = "") -> bytes:
    """The picture of an event or session: its poster, title, host and dates, as PNG.

    `own_key` is that of the event's own picture, if it's the poster.
    """
    shades = palette.colors(colors)
    ink = shades["ink"]
    image = Image.new("RGB", (WIDTH, HEIGHT), shades["sun"])
    image.paste(_own(own_key) if own_key else _poster(poster, colors), (0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, POSTER_HEIGHT, WIDTH, POSTER_HEIGHT + 8), fill=ink)
    draw.text((MARGIN, 228), host, font=_font_for(host, 44), fill=ink)
    lines, font = _fitted(title)
    for number, line in enumerate(lines):
        position = (MARGIN, 276 + number * font.size)
        draw.text(position, line, font=font, fill=ink)
    bottom = (MARGIN, HEIGHT - 28)
    draw.text(bottom, when, font=_font_for(when, 44), fill=ink, anchor="ls")
    return _png(image, colors=256 if own_key else 64)


@cache
def _poster(name: str, colors: str) -> Image.Image:
    """One of the drawn posters in the event's colors, as its page has it in the light scheme."""
    shades = palette.colors(colors)
    sky, land = shades["sun"], shades["ink"]
    fills = {
        "dawn__sun": shades["page"],
        "dawn__bars": land,
        "dawn__dots": land,
        "dawn__near": palette.mix(land, 68, sky),
        "dawn__far": palette.mix(land, 36, sky),
    }
    svg = render_to_string(f"events/posters/{name}.svg")
    return draw(svg, (WIDTH, POSTER_HEIGHT), sky, fills)


def _own(key: str) -> Image.Image:
    content = StoredImage.objects.get(key=key).content
    return ImageOps.fit(Image.open(io.BytesIO(content)), (WIDTH, POSTER_HEIGHT))


@cache
def icon(mark: str, colors: str) -> bytes:
    """The icon for phones' home screens, as PNG. Phones round its corners."""
    svg = render_to_string("events/icon.svg", {"mark": mark, "colors": colors})
    ground = palette.colors(colors)["ink"]
    return _png(draw(svg, (ICON_SIZE, ICON_SIZE), ground, {}), colors=64)


def _fitted(title: str) -> tuple[list[str], ImageFont.FreeTypeFont]:
    """The title's lines in the largest size in which it fits. A longer one loses its end."""
    for size in TITLE_SIZES:
        font = _font_for(title, size)
        lines = list(_wrapped(title, font))
        if len(lines) * size <= HEIGHT - 276 - 90:
            return lines, font
    *kept, last = lines[:MAX_TITLE_LINES]
    while not _fits(f"{last}…", font):
        last = last[:-1]
    return [*kept, f"{last}…"], font


def _wrapped(text: str, font: ImageFont.FreeTypeFont) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and not _fits(f"{line} {word}", font):
            yield line
            line = ""
        line = f"{line} {word}".strip()
        while not _fits(line, font):
            # A word that is longer than a line.
            kept = next(length for length in range(len(line), 0, -1) if _fits(line[:length], font))
            yield line[:kept]
            line = line[kept:]
    yield line


def _fits(line: str, font: ImageFont.FreeTypeFont) -> bool:
    return len(line) <= 1 or font.getlength(line) <= WIDTH - 2 * MARGIN


def _png(image: Image.Image, *, colors: int) -> bytes:
    """With so many colors, which these pictures don't exceed visibly: a third of the size."""
    content = io.BytesIO()
    image.quantize(colors).save(content, "PNG", optimize=True)
    return content.getvalue()
