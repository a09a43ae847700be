"""Pictures that show an event where its address is shared, and the site's icon on phones' screens.

Other sites don't take the SVG that our own pages use.
"""

import io
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib import resources

from PIL import Image, ImageDraw, ImageFont

from events.palette import COLORS

# What Facebook, Slack and others show without cutting it off (https://ogp.me).
WIDTH, HEIGHT = 1200, 630
MARGIN = 64
ICON_SIZE = 180
# Drawn larger and reduced, which smooths the edges.
SCALE = 2
TITLE_SIZES = (112, 96, 84, 72, 60, 50)
MAX_TITLE_LINES = 4


@cache
def _font(size: int, weight: str = "Black") -> ImageFont.FreeTypeFont:
    file = resources.files("font_source_sans_pro") / "files" / f"SourceSansPro-{weight}.ttf"
    return ImageFont.truetype(io.BytesIO(file.read_bytes()), size)


# Some 30 kilobytes each.
@lru_cache(maxsize=200)
def shared(title: str, host: str, when: str) -> bytes:
    """The picture of an event or session: bars, sun, title, host and dates, as PNG."""
    image = Image.new("RGB", (WIDTH, HEIGHT), COLORS["sun"])
    draw = ImageDraw.Draw(image)
    image.paste(_dawn(WIDTH, 200, bars=25, radius=80, colors=("sun", "ink", "page")), (0, 0))
    draw.rectangle((0, 200, WIDTH, 208), fill=COLORS["ink"])
    draw.text((MARGIN, 228), host, font=_font(40, "Bold"), fill=COLORS["ink"])
    lines, font = _fitted(title)
    for number, line in enumerate(lines):
        position = (MARGIN, 276 + number * font.size)
        draw.text(position, line, font=font, fill=COLORS["ink"])
    bottom = (MARGIN, HEIGHT - 28)
    draw.text(bottom, when, font=_font(40, "Bold"), fill=COLORS["ink"], anchor="ls")
    return _png(image)


@cache
def icon() -> bytes:
    """The icon for phones' home screens, as PNG."""
    colors = ("ink", "page", "sun")
    return _png(_dawn(ICON_SIZE, ICON_SIZE, bars=5, radius=48, colors=colors, ground=28))


def _dawn(
    width: int, height: int, *, bars: int, radius: int, colors: Sequence[str], ground: int = 0
) -> Image.Image:
    """Bars that part before a rising sun. `colors`: the sky's, the bars' and the sun's."""
    sky, of_bars, of_sun = (COLORS[name] for name in colors)
    image = Image.new("RGB", (width * SCALE, height * SCALE), sky)
    draw = ImageDraw.Draw(image)
    # As many gaps as bars, and one more.
    step = image.width / (2 * bars + 1)
    horizon = (height - ground) * SCALE
    for number in range(bars):
        left = (2 * number + 1) * step
        draw.rectangle((left, 0, left + step, horizon), fill=of_bars)
    center = image.width / 2
    for color, size in ((sky, radius * 1.42), (of_sun, radius)):
        reach = size * SCALE
        box = (center - reach, horizon - reach, center + reach, horizon + reach)
        draw.pieslice(box, 180, 360, fill=color)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _fitted(title: str) -> tuple[list[str], ImageFont.FreeTypeFont]:
    """The title's lines in the largest size in which it fits. A longer one loses its end."""
    for size in TITLE_SIZES:
        lines = list(_wrapped(title, _font(size)))
        if len(lines) * size <= HEIGHT - 276 - 90:
            return lines, _font(size)
    font, (*kept, last) = _font(TITLE_SIZES[-1]), lines[:MAX_TITLE_LINES]
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


def _png(image: Image.Image) -> bytes:
    """In a palette of 64 colors, which these pictures don't exceed visibly: a third of the size."""
    content = io.BytesIO()
    image.quantize(64).save(content, "PNG", optimize=True)
    return content.getvalue()
