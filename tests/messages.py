"""Collect the texts to translate, and compile their translations: `make messages`.

Needs only Babel, not GNU gettext.
"""

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

from tests.services.process import BASE_DIR

APPS = ("events", "registrations", "strategyweek")
# Django's names for gettext's functions, with the places of their texts and contexts.
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
    # events.admin.shared.counted
    "counted": (2, 3),
}
FOLDER = BASE_DIR / "locale"


def collected() -> Catalog:
    """The texts that are marked for translation, each with the files that it is in."""
    catalog = Catalog(charset="utf-8")
    paths = [path for app in APPS for path in (BASE_DIR / app).rglob("*.py")]
    paths += [*(BASE_DIR / "templates").rglob("*.*")]
    for path in sorted(paths):
        for _line, message, comments, context in texts(path):
            # Without line numbers, which would change the catalogs with every edit.
            location = (str(path.relative_to(BASE_DIR)), None)
            catalog.add(message, None, [location], auto_comments=comments, context=context)
    return catalog


def texts(path: Path) -> Iterable[tuple[Any, ...]]:
    """Babel's tuples of line, text, comments and context."""
    code = path.read_text()
    if path.suffix != ".py":
        # Indented code would have to be consistent.
        code = re.sub(r"^\s+", "", templatize(code, origin=str(path)), flags=re.MULTILINE)
    source = io.BytesIO(code.encode())
    return extract(
        "python", source, KEYWORDS, comment_tags=("Translators:",), strip_comment_tags=True
    )


def catalog_of(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, charset="utf-8")


def is_translated(message: Message) -> bool:
    forms = message.string if message.pluralizable else (message.string,)
    return all(forms)


def compiled(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def main() -> None:
    template = collected()
    for path in sorted(FOLDER.glob("*/LC_MESSAGES/django.po")):
        catalog = catalog_of(path)
        catalog.update(template, no_fuzzy_matching=True, update_creation_date=False)
        catalog.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalog, width=100, sort_output=True, omit_header=False)
        path.with_suffix(".mo").write_bytes(compiled(catalog))
        missing = [each.id for each in catalog if each.id and not is_translated(each)]
        print(f"{path.parent.parent.name}: {len(catalog)} texts, {len(missing)} not translated")
    # Written by hand: our own scripts get their texts from the pages.
    for path in sorted(FOLDER.glob("*/LC_MESSAGES/djangojs.po")):
        path.with_suffix(".mo").write_bytes(compiled(catalog_of(path)))


if __name__ == "__main__":
    settings.configure()
    main()
