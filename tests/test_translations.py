"""Every text is marked for translation, and translated."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from django.template.base import Lexer, TokenType

from tests import messages

PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|\{\w*\}")


def catalogs() -> list[str]:
    return [path.parent.parent.name for path in messages.FOLDER.glob("*/LC_MESSAGES/django.po")]


def texts_of(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else message.id


@pytest.mark.once
@pytest.mark.parametrize("language", catalogs())
def test_every_text_is_translated(language):
    path = messages.FOLDER / language / "LC_MESSAGES" / "django.po"
    catalog = messages.catalog_of(path)
    marked = {(each.context, texts_of(each)[0]) for each in messages.collected() if each.id}
    translated = {
        (each.context, texts_of(each)[0])
        for each in catalog
        if each.id and messages.is_translated(each)
    }
    assert marked - translated == set(), "Run `make messages`, then translate."
    assert translated - marked == set(), "Run `make messages`."


@pytest.mark.once
@pytest.mark.parametrize("language", catalogs())
def test_translations_keep_placeholders_and_are_compiled(language):
    path = messages.FOLDER / language / "LC_MESSAGES" / "django.po"
    catalog = messages.catalog_of(path)
    for message in catalog:
        if not message.id:
            continue
        forms = message.string if message.pluralizable else (message.string,)
        wanted = {*PLACEHOLDER.findall(" ".join(texts_of(message)))}
        for form in forms:
            assert {*PLACEHOLDER.findall(form)} <= wanted, message.id
        assert {*PLACEHOLDER.findall(" ".join(forms))} == wanted, message.id
    compiled = path.with_suffix(".mo").read_bytes()
    assert compiled == messages.compiled(catalog), "Run `make messages`."


# Templates whose readers are developers or operators, or that have both languages.
NOT_TRANSLATED = ("mailbox/", "500.html", "admin/events/zoom_notice.html")
# Names, and what is the same in every language.
NAMES = {"Zoom", "Strategy", "Week", "LWOP", "CSV", "JSON", "Google", "Apple", "Outlook", "PDF"}


def words_outside_of_translations(path: Path) -> list[str]:
    """The words of a template that readers see and no translation tag surrounds."""
    shown, inside = [], False
    for token in Lexer(path.read_text()).tokenize():
        if token.token_type == TokenType.BLOCK:
            # These two blocks hold CSS classes.
            if token.contents in {"block page", "block body"} or token.contents.startswith(
                ("blocktranslate", "comment")
            ):
                inside = True
            elif token.contents in {"endblock", "endblocktranslate", "endcomment"}:
                inside = False
        elif token.token_type == TokenType.TEXT and not inside:
            shown.append(token.contents)
            continue
        shown.append(" ")
    text = re.sub(r"<(style|script)\b.*?</\1>|<!--.*?-->", " ", "".join(shown), flags=re.DOTALL)
    spoken = re.findall(r'\b(?:aria-label|title|placeholder|alt)="([^"]*)"', text)
    text = " ".join([re.sub(r"<[^>]*>", " ", text), *spoken])
    text = re.sub(r"&\w+;|[\w.+-]*@[\w.]+|https?://\S*", " ", text)
    return [word for word in re.findall(r"[^\W\d_]{2,}", text) if word not in NAMES]


@pytest.mark.once
def test_templates_have_no_words_outside_of_translations():
    found = {}
    for path in sorted((messages.BASE_DIR / "templates").rglob("*.*")):
        name = str(path.relative_to(messages.BASE_DIR / "templates"))
        words = words_outside_of_translations(path)
        if words and not name.startswith(NOT_TRANSLATED):
            found[name] = words[:12]
    assert found == {}
