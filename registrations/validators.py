"""Which characters people may enter, and when two email addresses or two names are the same."""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.text.addresses import ascii_address, validate_deliverable
from events.text.search import search_key

EMAIL_LENGTH = 254
# Some scripts take several Latin letters for one of theirs.
NAME_KEY_LENGTH = 300
# Unicode categories: control characters, direction marks, private use, surrogates, and the line
# and paragraph separators.
INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
# The zero-width joiners: names in Persian and in Indian scripts need them, and emoji.
JOINERS = {"\u200c", "\u200d"}
# Korean letters that show nothing.
BLANK_LETTERS = {"\u115f", "\u1160", "\u3164", "\uffa0"}
INVISIBLE_IN_ADDRESS = gettext_lazy(
    "There's an invisible character in this address. Type it again instead of pasting it."
)
LOOKS_LIKE_A_LINK = re.compile(r"//|@|\bwww\.|\w\w\.[^\W\d_]{2}", re.IGNORECASE)


def has_invisible(text: str, allowed: set[str]) -> bool:
    return any(unicodedata.category(each) in INVISIBLE for each in {*text} - allowed)


def strip_invisible(text: str) -> str:
    """Remove spaces and format characters at both ends: they get there by copy and paste."""
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while start < end and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"


def validate_visible(text: str) -> None:
    """Reject invisible characters, including line breaks."""
    if has_invisible(text, JOINERS):
        raise ValidationError(
            _("There's an invisible character in this text. Type it all on one line.")
        )


def validate_visible_lines(text: str) -> None:
    """Reject invisible characters, except line breaks and tabs."""
    if has_invisible(text, JOINERS | {"\r", "\n", "\t"}):
        raise ValidationError(
            _("There's an invisible character in this text. Type it again instead of pasting it.")
        )


def validate_plain_line(text: str) -> None:
    """Reject what names don't contain but attacks do: line breaks, direction marks, HTML tags."""
    validate_visible(text)
    if "<" in text or ">" in text:
        raise ValidationError(_("Remove the < and > signs."))


def validate_named(text: str) -> None:
    """Reject a name without any letter: no one could tell who it is."""
    if not any(each.isalnum() for each in {*text} - BLANK_LETTERS):
        raise ValidationError(_("Enter a name with at least one letter."))


def validate_no_link(text: str) -> None:
    """Reject web addresses in a name: strangers can cause an email that shows it."""
    if LOOKS_LIKE_A_LINK.search(text):
        raise ValidationError(_("Remove any web address, and put a space after each period."))


def email_key(email: str) -> str:
    """The form in which addresses are compared: no spaces around, no case, one Unicode form.

    Raises UnicodeError if the domain has no ASCII form, or if the address is too long: normalizing
    a long text takes very long.
    """
    if len(email) > EMAIL_LENGTH:
        raise UnicodeError("too long")
    local, _at, domain = unicodedata.normalize("NFC", email.strip()).lower().rpartition("@")
    return f"{local}{ascii_address(f'@{domain}').lower()}"


def email_key_or_blank(email: str) -> str:
    """The key of an address that another site reported; "" if it can't be a registered one."""
    try:
        return email_key(email) if email else ""
    except UnicodeError:
        return ""


def name_key(name: str) -> str:
    """The form in which names at one mailbox are compared: letters without case and accents."""
    key = search_key(name)
    letters = [each for each in key if unicodedata.category(each)[0] not in "CPZ"]
    return "".join(letters or key.split())[:NAME_KEY_LENGTH]


def validate_address(email: str) -> None:
    """Reject addresses that a mail server would reject or read as another address.

    Quotes and invisible characters can spell one mailbox in endless ways. `email_key` may be
    longer than the address.
    """
    if len(email) > EMAIL_LENGTH:
        raise ValidationError(_("This address is too long."))
    validate_plain_line(email)
    if '"' in email or "\\" in email:
        raise ValidationError(_("Remove quotation marks and backslashes."))
    try:
        validate_deliverable(email)
    except ValidationError as error:
        if has_invisible(email, set()):
            raise ValidationError(INVISIBLE_IN_ADDRESS) from error
        raise
    if len(email_key(email)) > EMAIL_LENGTH:
        raise ValidationError(_("This address is too long."))
