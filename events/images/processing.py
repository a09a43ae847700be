"""Makes small, plain pictures of the files that organizers upload.

Only what this module encoded is stored and shown: no metadata, such as the place where a photo was
taken, and nothing that hides in a file.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from PIL import ExifTags, Image, ImageCms, ImageOps

MAX_UPLOAD_BYTES = 10 * 1024 * 1024
# 4 bytes each in memory.
MAX_PIXELS = 30_000_000
# Phones' photos have up to 108 million. A JPEG can be read at a half, a fourth or an eighth of its
# width and height.
MAX_JPEG_PIXELS = 120_000_000
MIN_SIDE = 64
# A poster of a longer strip would be a line.
MAX_RATIO = 5
# Phones send their photos as JPEG when these are asked for.
FORMATS = ("JPEG", "PNG", "WEBP")
ACCEPT = "image/jpeg,image/png,image/webp"
QUALITIES = (80, 65, 50, 35)
CONTENT_TYPE = "image/webp"
# The orientations of a photo whose sides change places when it's turned upright.
TURNED = (5, 6, 7, 8)


@dataclass(frozen=True)
class Size:
    """The size of a picture to make: at most so many pixels and bytes.

    With `crop` it has this shape exactly, and loses what is outside.
    """

    width: int
    height: int
    max_bytes: int
    crop: bool = False


@dataclass(frozen=True)
class ProcessedImage:
    """A picture as WebP."""

    content: bytes
    width: int
    height: int


def reencode(file: BinaryIO, sizes: Sequence[Size]) -> list[ProcessedImage]:
    """Return the picture in each size. A smaller one isn't enlarged, unless it is cropped.

    Raises ValidationError for a file that is too large, or not a still picture.
    """
    if file.seek(0, io.SEEK_END) > MAX_UPLOAD_BYTES:
        raise too_large()
    file.seek(0)
    image = _opened(file)
    try:
        share = _needed_share(image, sizes)
        # The smallest step that is still large enough; only JPEG has them.
        image.draft("RGB", (math.ceil(image.width * share), math.ceil(image.height * share)))
        if image.width * image.height > MAX_PIXELS:
            raise _too_many_pixels()
        image.load()
        # Each step of what follows needs another copy in memory.
        plain = _plain(_reduced(image, int(1 / _needed_share(image, sizes))))
    except ValidationError:
        raise
    # Pillow raises errors of many kinds for broken files, and has no list of them.
    except Exception as error:
        raise ValidationError(_("This picture is damaged. Try another copy of it.")) from error
    return [_encoded(plain, size) for size in sizes]


def too_large() -> ValidationError:
    largest = filesizeformat(MAX_UPLOAD_BYTES)
    return ValidationError(
        _("This file is too large. Choose pictures of up to %(size)s, a few at a time.")
        % {"size": largest}
    )


def _opened(file: BinaryIO) -> Image.Image:
    """Read what the file says of itself, and no pixels yet."""
    try:
        image = Image.open(file, formats=FORMATS)
        # Some phones add a second picture to a JPEG, for its depth. The first is the photo.
        is_animated = image.format != "MPO" and getattr(image, "is_animated", False)
    except Image.DecompressionBombError as error:
        raise _too_many_pixels() from error
    except Exception as error:
        text = _("We can't read this file. Choose a picture: JPEG, PNG or WebP.")
        raise ValidationError(text) from error
    # A progressive JPEG is held in memory in full, whatever size it's read at.
    is_scalable = image.format in ("JPEG", "MPO") and "progressive" not in image.info
    if image.width * image.height > (MAX_JPEG_PIXELS if is_scalable else MAX_PIXELS):
        raise _too_many_pixels()
    if min(image.size) < MIN_SIDE:
        raise ValidationError(
            _("This picture is too small. It needs at least %(pixels)s pixels on each side.")
            % {"pixels": MIN_SIDE}
        )
    if max(image.size) > MAX_RATIO * min(image.size):
        raise ValidationError(
            _(
                "This picture is too long and narrow. Crop it so that its long side is at most"
                " %(times)s times its short side."
            )
            % {"times": MAX_RATIO}
        )
    if is_animated:
        raise ValidationError(_("This picture moves. Choose one that doesn't."))
    return image


def _too_many_pixels() -> ValidationError:
    return ValidationError(
        _("This picture is too large. Make it smaller: up to %(count)s million pixels.")
        % {"count": MAX_PIXELS // 1_000_000}
    )


def _needed_share(image: Image.Image, sizes: Sequence[Size]) -> float:
    """The part of its width and height that twice the largest size needs. It may be above 1."""
    width, height = image.size
    if image.getexif().get(ExifTags.Base.Orientation) in TURNED:
        width, height = height, width
    shares = []
    for size in sizes:
        both = size.width / width, size.height / height
        shares.append(max(both) if size.crop else min(both))
    return 2 * max(shares)


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """The decoded picture with a width and height that are so many times smaller."""
    if factor < 2:
        return image
    if image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK") or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.reduce(factor)


def _plain(image: Image.Image) -> Image.Image:
    """Make it upright, in the colors of the web, without transparency or anything attached."""
    profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    if profile and upright.mode == "RGB":
        upright = _in_web_colors(upright, profile)
    if upright.has_transparency_data:
        ground = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(ground, upright.convert("RGBA"))
    # Only pixels are taken over.
    plain = Image.new("RGB", upright.size)
    plain.paste(upright.convert("RGB"))
    return plain


def _in_web_colors(image: Image.Image, profile: bytes) -> Image.Image:
    """Phones' photos have more colors than the web's, and would be pale without this."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted or image


def _encoded(image: Image.Image, size: Size) -> ProcessedImage:
    """Encode it in the best quality that fits, and smaller if none does."""
    box = (size.width, size.height)
    resampling = Image.Resampling.LANCZOS
    resized = ImageOps.fit(image, box, resampling) if size.crop else image.copy()
    resized.thumbnail(box, resampling)
    while True:
        for quality in QUALITIES:
            content = io.BytesIO()
            resized.save(content, "WEBP", quality=quality)
            if content.tell() <= size.max_bytes or max(resized.size) <= MIN_SIDE:
                return ProcessedImage(content.getvalue(), *resized.size)
        resized.thumbnail((resized.width * 3 // 4, resized.height * 3 // 4), resampling)
