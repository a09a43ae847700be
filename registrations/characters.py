"""Which characters people may enter."""

import unicodedata

from django.core.exceptions import ValidationError

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
