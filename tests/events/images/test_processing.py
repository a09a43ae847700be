"""Pictures are made small and plain; what isn't a picture is refused in words."""

import contextlib
import io
import random
from collections.abc import Callable, Iterator

import pytest
from django.core.exceptions import ValidationError
from PIL import Image
from PIL.Image import core  # type: ignore[attr-defined]

from events.images.processing import MAX_UPLOAD_BYTES, Size, reencode
from tests.events.images.pictures import bomb, claiming, noise, picture, saved

# Pillow warns of what it then refuses.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

NORMAL = Size(200, 200, max_bytes=20_000)
SQUARE = Size(120, 120, max_bytes=10_000, crop=True)


def opened(image):
    return Image.open(io.BytesIO(image.content))


def refusal(file):
    with pytest.raises(ValidationError) as error:
        reencode(file, [NORMAL])
    return error.value.messages


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_made_in_each_size(kind):
    normal, square = reencode(picture(kind=kind), [NORMAL, SQUARE])
    assert (normal.width, normal.height) == opened(normal).size == (200, 150)
    assert (square.width, square.height) == opened(square).size == (120, 120)
    assert opened(normal).format == opened(square).format == "WEBP"
    red, _green, blue = opened(normal).convert("RGB").getpixel((20, 75))
    assert (red > 200, blue < 60) == (True, True)


def test_a_small_picture_is_not_enlarged():
    (image,) = reencode(picture(100, 80), [NORMAL])
    assert (image.width, image.height) == (100, 80)


def test_a_picture_of_many_details_still_fits_its_bytes():
    (image,) = reencode(noise(1200, 900), [Size(1000, 1000, max_bytes=15_000)])
    assert len(image.content) <= 15_000
    assert image.width < 1000


def test_a_photo_is_turned_upright_and_loses_its_place_and_camera():
    exif = Image.Exif()
    # Turned by 90 degrees: what was left is on top.
    exif[0x0112] = 6
    exif[0x010F] = "Ana's phone"
    exif.get_ifd(0x8825).update({1: "N", 2: (34.0, 3.0, 8.0)})
    (image,) = reencode(picture(exif=exif, comment=b"secret", xmp=b"<secret/>"), [NORMAL])
    made = opened(image)
    assert made.size == (150, 200)
    assert made.convert("RGB").getpixel((75, 20))[0] > 200
    assert {*made.getexif()} == set()
    assert {*made.info} & {"exif", "xmp", "icc_profile", "comment"} == set()
    for secret in (b"Ana", b"secret", b"EXIF"):
        assert secret not in image.content


def test_transparent_parts_become_white():
    clear = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    (image,) = reencode(saved(clear, "PNG"), [NORMAL])
    assert opened(image).convert("RGB").getpixel((50, 50)) == (255, 255, 255)


def test_colors_for_printing_become_those_of_the_web():
    for_print = Image.new("CMYK", (100, 100), (0, 255, 255, 0))
    (image,) = reencode(saved(for_print, "JPEG"), [NORMAL])
    assert opened(image).convert("RGB").getpixel((50, 50))[0] > 200


def test_a_photo_with_a_second_picture_for_depth_is_a_photo():
    depth = Image.new("RGB", (400, 300), "black")
    file = saved(Image.new("RGB", (400, 300), "red"), "MPO", save_all=True, append_images=[depth])
    (image,) = reencode(file, [NORMAL])
    assert opened(image).convert("RGB").getpixel((100, 75))[0] > 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%PDF-1.7",
        b"GIF89a",
        b"\xff\xd8\xff",
        b"RIFF\x00\x00\x00\x00WEBP",
        bytes(5000),
    ],
)
def test_a_file_that_is_no_picture_is_refused(content):
    assert refusal(io.BytesIO(content)) == [
        "We can't read this file. Choose a picture: JPEG, PNG or WebP."
    ]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("JPEG", "This picture is damaged. Try another copy of it."),
        ("PNG", "This picture is damaged. Try another copy of it."),
        ("WEBP", "We can't read this file. Choose a picture: JPEG, PNG or WebP."),
    ],
)
def test_a_picture_without_its_end_is_refused(kind, words):
    whole = saved(Image.effect_noise((300, 300), 90), kind).getvalue()
    assert refusal(io.BytesIO(whole[: len(whole) // 2])) == [words]


@pytest.mark.parametrize("side", [6_000, 12_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side):
    assert refusal(bomb(side)) == [
        "This picture is too large. Make it smaller: up to 30 million pixels."
    ]


@pytest.mark.parametrize(
    ("width", "height", "orientation"), [(8000, 6000, 6), (6120, 8160, 1), (12_000, 9000, 1)]
)
def test_photo_of_very_many_pixels_is_made_small(width, height, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    poster = [Size(1600, 1600, 140_000), Size(800, 400, 14_000, crop=True)]
    photo = saved(Image.new("L", (width, height), "white"), "JPEG", exif=exif)
    wide, phone = reencode(photo, poster)
    assert max(wide.width, wide.height) == 1600
    assert (phone.width, phone.height) == (800, 400)


@pytest.mark.parametrize(
    ("photo", "size"),
    [
        # Nothing but all of its pixels would do.
        (lambda: saved(Image.new("L", (8000, 6000)), "JPEG"), Size(8000, 8000, 9000)),
        # These can't be read at a part of their size in less memory.
        (lambda: saved(Image.new("L", (8000, 6000)), "JPEG", progressive=True), NORMAL),
        (lambda: claiming(12_000, 12_000), NORMAL),
    ],
)
def test_photo_that_would_fill_the_memory_is_refused(photo, size):
    with pytest.raises(ValidationError) as error:
        reencode(photo(), [size])
    assert error.value.messages == [
        "This picture is too large. Make it smaller: up to 30 million pixels."
    ]


@pytest.fixture
def pillow_memory() -> Iterator[Callable[[], int]]:
    """How many bytes Pillow has taken since, whether or not it still has them."""
    before = core.get_block_size()
    core.set_block_size(2**18)
    core.reset_stats()
    yield lambda: core.get_stats()["allocated_blocks"] * 2**18
    core.set_block_size(before)


def test_transparent_picture_is_copied_once_before_it_is_small(pillow_memory):
    large = saved(Image.new("RGBA", (4000, 4000), (0, 0, 0, 0)), "PNG", compress_level=1)
    before = pillow_memory()
    reencode(large, [NORMAL])
    assert (pillow_memory() - before) // (4000 * 4000 * 4) == 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_large_picture_of_any_kind_keeps_its_colors(mode):
    gray = Image.new("L", (1000, 1000), 255)
    (image,) = reencode(saved(gray.convert(mode), "PNG"), [NORMAL])
    assert opened(image).convert("RGB").getpixel((50, 50)) == (255, 255, 255)


def test_transparent_color_of_a_large_picture_becomes_white():
    red = Image.new("P", (1000, 1000), 1)
    red.putpalette([0, 0, 255, 255, 0, 0])
    (image,) = reencode(saved(red, "PNG", transparency=1), [NORMAL])
    assert opened(image).convert("RGB").getpixel((50, 50)) == (255, 255, 255)


@pytest.mark.parametrize(("width", "height"), [(64, 330), (2000, 390)])
def test_a_strip_is_refused(width, height):
    assert refusal(picture(width, height)) == [
        "This picture is too long and narrow. Crop it so that its long side is at most 5 times"
        " its short side."
    ]


def test_a_banner_is_accepted():
    (image,) = reencode(picture(1000, 200), [NORMAL])
    assert (image.width, image.height) == (200, 40)


def test_a_file_that_is_too_large_is_refused():
    file = io.BytesIO(picture().getvalue() + bytes(MAX_UPLOAD_BYTES))
    assert refusal(file) == [
        "This file is too large. Choose pictures of up to 10.0\xa0MB, a few at a time."
    ]


def test_a_tiny_picture_is_refused():
    assert refusal(picture(300, 20)) == [
        "This picture is too small. It needs at least 64 pixels on each side."
    ]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_that_moves_is_refused(kind):
    frames = [Image.new("RGB", (100, 100), color) for color in ("red", "blue")]
    file = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert refusal(file) == ["This picture moves. Choose one that doesn't."]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_any_damage_is_refused_or_survived(kind):
    chance = random.Random(kind)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = saved(Image.effect_noise((80, 80), 90).convert("RGB"), kind, exif=exif).getvalue()
    for _attempt in range(150):
        content = bytearray(whole)
        for _byte in range(chance.choice([1, 3, 30])):
            content[chance.randrange(min(len(content), 400))] = chance.randrange(256)
        with contextlib.suppress(ValidationError):
            reencode(io.BytesIO(bytes(content)), [NORMAL])
