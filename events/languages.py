"""The texts that organizers write in several languages.

Each such field of a model, such as `title`, has a column for each language: `title_en`, `title_es`.
`session.title` is the text in the current language or, if there is none, in another one. The
translation.py of an app lists its fields.

What is stored, compared or sent to Zoom must not depend on who happens to read or write at that
moment: it is read `in_main_language()`, from a column, or from all of them.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.html import conditional_escape, escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import get_text_list
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _
from modeltranslation.utils import build_localized_fieldname, get_language

# These write the names of languages with a capital letter: English, inglés, Englisch.
WITH_CAPITALS = ("en", "de")
# A text in each language that it's written in: pairs of code and text.
Text = tuple[tuple[str, str], ...]
LANG = re.compile(r'<[^>]*\slang="([\w-]+)"')


def codes() -> list[str]:
    """The codes of the languages, the main one first."""
    main = settings.LANGUAGE_CODE
    return [main, *(code for code, _name in settings.LANGUAGES if code != main)]


def column(name: str, code: str) -> str:
    return build_localized_fieldname(name, code)


def columns(*names: str) -> tuple[str, ...]:
    """Each field's columns. As an entry of `fieldsets` they are next to each other."""
    return tuple(column(name, code) for name in names for code in codes())


def in_main_language() -> AbstractContextManager[None]:
    return translation.override(settings.LANGUAGE_CODE)


def written_in(row: Any, name: str) -> str:
    """The language of a field's text as it is shown now, or "" if there is none."""
    current = get_language()
    found = (code for code in (current, *codes()) if getattr(row, column(name, code)))
    return next(found, "")


def as_written(row: Any, name: str) -> AbstractContextManager[None]:
    """Activate the language that a field's text is in."""
    return translation.override(written_in(row, name) or get_language())


def written(row: Any, name: str) -> Text:
    """A field's text in each language that it's written in, to compare and to store."""
    found = ((code, getattr(row, column(name, code))) for code in codes())
    return tuple((code, text) for code, text in found if text)


def reads_differently(before: Text, now: Text, code: str) -> bool:
    """Whether a text says something new to people who read in this language.

    If they see another language than before, because a translation was added or removed, it's new
    only if what they saw, or what they see, was changed too.
    """
    old, new = dict(before), dict(now)
    if not old or not new:
        return old != new
    shown = {next((each for each in (code, *codes()) if each in texts), "") for texts in (old, new)}
    return not any(each in old and old[each] == new.get(each) for each in shown)


def texts(row: Any, *names: str) -> tuple[str | None, ...]:
    """These fields' texts in all languages."""
    return tuple(getattr(row, each) for each in columns(*names))


def shown(values: Mapping[str, Any], name: str) -> str:
    """The text to show, of a row of `QuerySet.values(*columns(name))` of another model's texts."""
    found = (values[column(name, code)] for code in (get_language(), *codes()))
    return next(filter(None, found), "")


def other_language(row: Any, name: str) -> str:
    """The language of a field's text, if that isn't the current one."""
    code = written_in(row, name)
    return "" if code == get_language() else code


def marked(row: Any, name: str, text: str = "") -> str:
    """A field's text, or this part of it, as HTML that says so if it's in another language."""
    text, code = text or getattr(row, name), other_language(row, name)
    return format_html('<span lang="{}">{}</span>', code, text) if code else text


def filled(text: str, **values: str) -> SafeString:
    """A translated text as HTML, with its `%(values)s`. Those that are marked stay HTML."""
    escaped = {name: conditional_escape(value) for name, value in values.items()}
    return mark_safe(escape(text) % escaped)  # noqa: S308


def other_languages(html: str) -> tuple[str, ...]:
    """The languages, except the current one, that parts of this HTML are marked with."""
    return tuple(sorted({*LANG.findall(html)} & {*codes()} - {get_language()}))


def note_on_page(others: Iterable[str]) -> str:
    return _("Part of this page is only in %(languages)s.") % {"languages": names(others)}


def note_in_email(others: Iterable[str]) -> str:
    return _("Part of this email is only in %(languages)s.") % {"languages": names(others)}


def names(languages: Iterable[str]) -> str:
    """The languages' names in the current language, such as "English"."""
    found = [_name(code) for code in languages]
    if get_language() not in WITH_CAPITALS:
        found = [name.lower() for name in found]
    return get_text_list(found, _("and"))


def _name(code: str) -> str:
    try:
        return str(get_language_info(code)["name_translated"])
    except KeyError:
        # Django doesn't know every language, such as Haitian Creole.
        return own_name(code)


def own_name(code: str) -> str:
    """The language's name in that language, such as "Español"."""
    return str(dict(settings.LANGUAGES)[code])
