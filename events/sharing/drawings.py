"""Draws our SVG files with Pillow, for programs that don't take SVG.

It knows what these files use: paths of lines, cubic curves, arcs of circles and, in `dawn__dots`,
dots along the path. Only h and v are relative.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from xml.etree import ElementTree

from PIL import Image, ImageDraw

Point = tuple[float, float]
# Drawn larger and reduced, which smooths the edges.
SCALE = 2
STEPS = 96
DOT_RADIUS = 22
NUMBER_OR_COMMAND = re.compile(r"[A-Za-z]|-?\d*\.?\d+")


def draw(svg: str, size: tuple[int, int], ground: str, fills: Mapping[str, str]) -> Image.Image:
    """Draw an SVG file so that it fills this size, with its bottom and its middle in view.

    `fills` are the colors by class; a path without a class has its own.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314  # Ours.
    _x, _y, width, height = map(float, root.attrib["viewBox"].split())
    image = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE), ground)
    scale = max(image.width / width, image.height / height)
    left, top = (image.width - width * scale) / 2, image.height - height * scale
    canvas = ImageDraw.Draw(image)

    def placed(point: Point) -> Point:
        return left + point[0] * scale, top + point[1] * scale

    for path in root.iter():
        if not path.tag.endswith("path"):
            continue
        fill = path.get("fill") or fills[path.attrib["class"]]
        for outline in _outlines(path.attrib["d"]):
            if dots := path.get("pathLength"):
                for center in _along(outline, int(dots)):
                    canvas.circle(placed(center), DOT_RADIUS * scale, fill)
            else:
                canvas.polygon([*map(placed, outline)], fill)
    return image.resize(size, Image.Resampling.LANCZOS)


def _outlines(d: str) -> Iterator[list[Point]]:
    """The points of each closed line of a path."""
    words = iter(NUMBER_OR_COMMAND.findall(d))
    points: list[Point] = []

    def numbers(count: int) -> list[float]:
        return [float(next(words)) for _number in range(count)]

    drawn: dict[str, Callable[[], list[Point]]] = {
        "L": lambda: [(numbers(1)[0], numbers(1)[0])],
        "H": lambda: [(numbers(1)[0], points[-1][1])],
        "V": lambda: [(points[-1][0], numbers(1)[0])],
        "h": lambda: [(points[-1][0] + numbers(1)[0], points[-1][1])],
        "v": lambda: [(points[-1][0], points[-1][1] + numbers(1)[0])],
        "C": lambda: [*_curve(points[-1], *numbers(6))],
        "A": lambda: [*_arc(points[-1], *numbers(7))],
    }
    for command in words:
        if command == "M":
            if points:
                yield points
            points = [(numbers(1)[0], numbers(1)[0])]
        elif command.upper() != "Z":
            points += drawn[command]()
    yield points


def _curve(
    start: Point, x1: float, y1: float, x2: float, y2: float, x: float, y: float
) -> Iterator[Point]:
    for step in range(1, STEPS + 1):
        t = step / STEPS
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        corners = (start, (x1, y1), (x2, y2), (x, y))
        yield (
            sum(weight * corner[0] for weight, corner in zip(weights, corners, strict=True)),
            sum(weight * corner[1] for weight, corner in zip(weights, corners, strict=True)),
        )


def _arc(
    start: Point, radius: float, _ry: float, _turn: float, large: float, sweep: float, *end: float
) -> Iterator[Point]:
    """An arc of a circle (https://www.w3.org/TR/SVG2/implnote.html#ArcImplementationNotes)."""
    (x1, y1), (x2, y2) = start, end
    half = math.dist(start, end) / 2
    radius = max(radius, half)
    height = math.sqrt(radius**2 - half**2) * (1 if large == sweep else -1)
    center_x = (x1 + x2) / 2 + height * (y2 - y1) / (2 * half)
    center_y = (y1 + y2) / 2 - height * (x2 - x1) / (2 * half)
    first = math.atan2(y1 - center_y, x1 - center_x)
    turn = (math.atan2(y2 - center_y, x2 - center_x) - first) % math.tau
    turn = turn if sweep else turn - math.tau
    for step in range(1, STEPS + 1):
        angle = first + turn * step / STEPS
        yield center_x + radius * math.cos(angle), center_y + radius * math.sin(angle)


def _along(outline: list[Point], count: int) -> Iterator[Point]:
    """Points at equal distances along a line, half a distance from its ends."""
    lengths = [math.dist(*each) for each in itertools.pairwise(outline)]
    step = sum(lengths) / count
    for number in range(count):
        rest, at = (number + 0.5) * step, 0
        while at < len(lengths) - 1 and rest > lengths[at]:
            rest -= lengths[at]
            at += 1
        (x1, y1), (x2, y2), share = outline[at], outline[at + 1], rest / lengths[at]
        yield x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
