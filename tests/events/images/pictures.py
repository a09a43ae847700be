"""Picture files, and what people upload in their place."""

import io
import struct
import zlib
from typing import Any

from PIL import Image


def picture(width: int = 400, height: int = 300, kind: str = "JPEG", **options: Any) -> io.BytesIO:
    """A picture file: red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste((255, 0, 0), (0, 0, width // 2, height))
    return saved(image, kind, **options)


def saved(image: Image.Image, kind: str, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def noise(width: int, height: int) -> io.BytesIO:
    """A picture that can't be made small well."""
    return saved(Image.effect_noise((width, height), 90).convert("RGB"), "JPEG")


def bomb(side: int) -> io.BytesIO:
    """A PNG of a few bytes that says it has this many pixels on each side."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        check = zlib.crc32(kind + content)
        parts += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", check)]
    return io.BytesIO(b"".join(parts))


def claiming(width: int, height: int) -> io.BytesIO:
    """A small JPEG that says it has this size."""
    content = picture().getvalue()
    start = content.index(b"\xff\xc0") + 5
    return io.BytesIO(content[:start] + struct.pack(">HH", height, width) + content[start + 4 :])
