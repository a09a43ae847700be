"""Every text is marked for translation, and translated."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.template.base import Lexer, TokenType

from tests import messages
from tests.services.process import BASE_DIR

PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|\{\w*\}")


def catalogs() -> list[str]:
    return [path.parent.parent.name for path in messages.FOLDER.glob("*/LC_MESSAGES/django.po")]


def forms(text: Any) -> tuple[str, ...]:
    """A message's text, or its texts for one and for more."""
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.mark.once
@pytest.mark.parametrize("language", catalogs())
def test_every_text_is_translated(language):
    path = messages.FOLDER / language / "LC_MESSAGES" / "django.po"
    catalog = messages.catalog_of(path)
    marked = {(each.context, forms(each.id)[0]) for each in messages.collected() if each.id}
    translated = {
        (each.context, forms(each.id)[0])
        for each in catalog
        if each.id and messages.is_translated(each)
    }
    assert marked - translated == set(), "Run `make messages`, then translate."
    assert translated - marked == set(), "Run `make messages`."


@pytest.mark.once
@pytest.mark.parametrize("language", catalogs())
def test_translations_keep_placeholders(language):
    path = messages.FOLDER / language / "LC_MESSAGES" / "django.po"
    catalog = messages.catalog_of(path)
    for message in catalog:
        if not message.id:
            continue
        wanted = {*PLACEHOLDER.findall(" ".join(forms(message.id)))}
        translated = forms(message.string)
        assert {*PLACEHOLDER.findall(" ".join(translated))} == wanted, message.id


@pytest.mark.once
@pytest.mark.parametrize("path", sorted(messages.FOLDER.rglob("*.po")), ids=lambda path: path.name)
def test_catalogs_are_compiled(path):
    compiled = path.with_suffix(".mo").read_bytes()
    assert compiled == messages.compiled(messages.catalog_of(path)), "Run `make messages`."


# "Usted" in any form that is only that, English where there is a Spanish word, and quotation marks
# that people in the US don't use.
NOT_OUR_SPANISH = re.compile(
    r"\b(usted|ustedes|e?-?mails?|links?|click|su cuenta|seleccione|elija|introduzca|ingrese)\b"
    r"|[«»]",
    re.IGNORECASE,
)


@pytest.mark.once
def test_spanish_says_tu_and_uses_spanish_words():
    found = []
    for path in sorted(messages.FOLDER.glob("es/LC_MESSAGES/*.po")):
        for message in messages.catalog_of(path):
            # Without placeholders and tags.
            spoken = re.sub(r"%\(\w+\)|\{\w*\}|<[^>]*>", "", " ".join(forms(message.string)))
            words = [match[0] for match in NOT_OUR_SPANISH.finditer(spoken)]
            found += [(word, message.id) for word in words if message.id]
    assert found == []


# Templates whose readers are developers or operators, or that have both languages.
NOT_TRANSLATED = ("mailbox/", "500.html", "admin/events/zoom_notice.html")
# Names, and what is the same in every language.
NAMES = {"Zoom", "Strategy", "Week", "LWOP", "CSV", "JSON", "Google", "Apple", "Outlook", "PDF"}
NAMES |= {"Calendar", "com"}
CSS_BLOCKS = {"block page", "block body", "block bodyclass", "block style", "block panel"}
# And this one an address.
CSS_BLOCKS |= {"block list_url"}


def words_outside_of_translations(path: Path) -> list[str]:
    """The words of a template that readers see and no translation tag surrounds."""
    shown, inside = [], False
    for token in Lexer(path.read_text()).tokenize():
        if token.token_type == TokenType.BLOCK:
            # These blocks hold CSS.
            if token.contents in CSS_BLOCKS or token.contents.startswith(
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
    for path in sorted((BASE_DIR / "templates").rglob("*.*")):
        name = str(path.relative_to(BASE_DIR / "templates"))
        words = words_outside_of_translations(path)
        if words and not name.startswith(NOT_TRANSLATED):
            found[name] = words[:12]
    assert found == {}


MARKERS = {"_", "counted", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "pgettext"}
MARKERS |= {"ngettext_lazy", "pgettext_lazy"}
# Commands, checks and settings speak to developers and operators, and export.py says why it leaves
# out a field to someone who adds one.
FOR_OPERATORS = {"management/", "checks.py", "settings.py", "migrations/", "celery.py"}
FOR_OPERATORS |= {"privacy/export.py"}
# Sentences that only operators, developers, Zoom or the database's log read.
UNMARKED = {
    "Can see people's access needs and answers": "a permission's name is stored",
    "Kept up to date by ": "in Zoom's own list of meetings",
    "Link of ": "for developers",
    "Siobhán O'Brien & Co": "a name",
    "The email could not be written: ": "stored with an error, which is English",
    "Zoom answers": "for developers",
}
SENTENCE = re.compile(r"[A-Z]['’a-z\u00e0-\u00ff]*,? \S*[a-z]")


def sentences_outside_of_translations(tree: ast.AST) -> Iterator[str]:
    """The texts in Python code that could be read by people, without docstrings and logs."""
    match tree:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in MARKERS:
            return
        case ast.Call(func=ast.Attribute(value=ast.Name(id="logger"))):
            return
        case ast.Raise(exc=ast.Call(func=ast.Name(id=name))) if name != "ValidationError":
            return
        case ast.Constant(value=str(text)) if SENTENCE.match(text):
            yield text
    for child in ast.iter_child_nodes(tree):
        yield from sentences_outside_of_translations(child)


@pytest.mark.once
def test_code_has_no_sentences_outside_of_translations():
    found = set()
    for app in ("events", "registrations", "strategyweek"):
        for path in sorted((BASE_DIR / app).rglob("*.py")):
            if not any(each in str(path.relative_to(BASE_DIR)) for each in FOR_OPERATORS):
                found |= {*sentences_outside_of_translations(ast.parse(path.read_text()))}
    assert found == {*UNMARKED}
