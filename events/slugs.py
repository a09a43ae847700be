"""The last parts of web addresses, made from names and titles."""

import itertools
from collections.abc import Iterable, Iterator

from django.utils.text import slugify

# Of a SlugField.
MAX_SLUG_CHARACTERS = 50


def free_slug(text: str, *, otherwise: str, taken: Iterable[str]) -> str:
    """The address of a text, or of `otherwise` if it has no letters, that isn't taken yet."""
    used = {*taken}
    made = slugify(text) or otherwise
    return next(each for each in numbered(made) if each not in used)


def numbered(slug: str) -> Iterator[str]:
    """Shorten an address to what fits its column: legislation, then legislation-2 and so on."""
    for number in itertools.count(1):
        end = f"-{number}" if number > 1 else ""
        yield slug[: MAX_SLUG_CHARACTERS - len(end)].strip("-") + end
