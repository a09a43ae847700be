"""Which characters people may enter."""

import re
import unicodedata

from django.core.exceptions import ValidationError

from registrations.models import email_key

# Control characters, direction marks, private use, halves of pairs, odd line ends.
REFUSED = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
# Names in Persian and in Indian scripts, and emoji, are spelled with these.
JOINERS = {"\u200c", "\u200d"}


def validate_visible(text: str) -> None:
    """Refuse invisible characters, line breaks among them."""
    if {sign for sign in text if unicodedata.category(sign) in REFUSED} - JOINERS:
        raise ValidationError(
            "Use letters, digits and punctuation on one line: "
            "there is an invisible character in this text."
        )


def validate_visible_lines(text: str) -> None:
    """Refuse invisible characters but for line breaks and tabs."""
    if {sign for sign in text if unicodedata.category(sign) in REFUSED} - JOINERS - {*"\r\n\t"}:
        raise ValidationError(
            "Use letters, digits and punctuation: there is an invisible character in this text."
        )


EMAIL_LENGTH = 254
LOOKS_LIKE_A_LINK = re.compile(r"//|@|\bwww\.|\w\w\.[^\W\d_]{2}", re.IGNORECASE)


def validate_plain_line(text: str) -> None:
    """Refuse what no name holds but an attack does: line breaks, direction marks, tags."""
    validate_visible(text)
    if "<" in text or ">" in text:
        raise ValidationError("Leave out the signs < and >.")


def validate_no_link(text: str) -> None:
    """Refuse web addresses in a name: it stands in a mail that a stranger can cause."""
    if LOOKS_LIKE_A_LINK.search(text):
        raise ValidationError("Leave out web addresses, and put a space behind a full stop.")


def validate_address(email: str) -> None:
    """Refuse what a mail server would read as another address, or not at all.

    Quotes and invisible signs spell one mailbox in endless ways, and Unicode may grow.
    """
    validate_plain_line(email)
    if '"' in email or "\\" in email:
        raise ValidationError("Leave out quotation marks and backslashes.")
    try:
        key = email_key(email)
    except UnicodeError as error:
        raise ValidationError("There is no such domain behind the @.") from error
    if len(key) > EMAIL_LENGTH:
        raise ValidationError("This address is too long.")
