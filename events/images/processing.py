"""Makes small, plain pictures of the files that organizers upload.

Only what this module encoded is stored and shown: no metadata, such as the place where a photo was
taken, and nothing that hides in a file.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from PIL import Image, ImageCms, ImageOps

MAX_UPLOAD_BYTES = 10 * 1024 * 1024
# 4 bytes each in memory. Most phones' photos have 12 or 24 million.
MAX_PIXELS = 30_000_000
MIN_SIDE = 64
# Phones send their photos as JPEG when these are asked for.
FORMATS = ("JPEG", "PNG", "WEBP")
ACCEPT = "image/jpeg,image/png,image/webp"
QUALITIES = (80, 65, 50, 35)
CONTENT_TYPE = "image/webp"


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
        # The smallest step that is still large enough; only JPEG has them.
        image.draft("RGB", (max(s.width for s in sizes) * 2, max(s.height for s in sizes) * 2))
        plain = _plain(image)
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
    if image.width * image.height > MAX_PIXELS:
        raise _too_many_pixels()
    if min(image.size) < MIN_SIDE:
        raise ValidationError(
            _("This picture is too small. It needs at least %(pixels)s pixels on each side.")
            % {"pixels": MIN_SIDE}
        )
    if is_animated:
        raise ValidationError(_("This picture moves. Choose one that doesn't."))
    return image


def _too_many_pixels() -> ValidationError:
    return ValidationError(
        _("This picture is too large. Make it smaller: up to %(count)s million pixels.")
        % {"count": MAX_PIXELS // 1_000_000}
    )


def _plain(image: Image.Image) -> Image.Image:
    """Decode it: upright, in the colors of the web, without transparency or anything attached."""
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
