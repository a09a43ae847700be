"""Phone numbers: what is one, which country it belongs to, and how people write and dial it."""

import ipaddress
import re

import phonenumbers
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

# A number without a country code is in this country.
HOME_REGION = "US"
MAX_CHARACTERS = 40
# A line that begins with a number: digits, spaces, dots, hyphens, and an area code in parentheses.
LEADING_DIGITS = re.compile(r"\+?[\d .-]*(\(\d+\)[\d .-]*)?\d")
# What may follow a number. A letter, @ or : belongs to something else, such as an address.
END_OF_NUMBER = re.compile(r"$|[\s,;()]")
# North America: an area code and an exchange never begin with 0 or 1, and none is like 911.
NORTH_AMERICA = re.compile(r"(?![2-9]11)[2-9]\d\d(?![2-9]11)[2-9]\d{6}")
# Word processors and messengers put these in place of plain ones.
PLAIN = str.maketrans(
    {"\u2010": "-", "\u2011": "-", "\u2013": "-", "\xa0": " ", "\u2007": " ", "\u202f": " "}
    | dict.fromkeys("\u200b\u200e\u200f\u202a\u202c\u2060\ufeff")
)


def read_number(text: str) -> PhoneNumber | None:
    """The phone number that this text is, or None."""
    number, rest = read_leading_number(text)
    return None if rest else number


def validate_phone(text: str) -> None:
    """Raise ValidationError unless this is one phone number."""
    if read_number(text) is None:
        raise ValidationError(
            _(
                "This isn't a phone number. Enter all its digits, with the country code if it "
                "isn't in the US, such as +1 669 900 6833."
            )
        )


def read_leading_number(text: str) -> tuple[PhoneNumber | None, str]:
    """The phone number that this text begins with, and what follows: "US (San Jose)"."""
    text = text.translate(PLAIN).strip()
    found = LEADING_DIGITS.match(text[:MAX_CHARACTERS])
    digits = found[0] if found else ""
    if _is_ip_address(digits):
        return None, text
    while digits:
        rest = text[len(digits) :]
        number = _parse(digits) if END_OF_NUMBER.match(rest) else None
        if number:
            return number, rest.strip(" ,;")
        # The last group may be something else: "+1 669 900 6833 24 hours".
        digits = digits.rpartition(" ")[0].rstrip(" .-")
    return None, text


def _parse(digits: str) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(digits, HOME_REGION)
    except NumberParseException:
        return None
    return number if _is_valid(number) else None


def _is_valid(number: PhoneNumber) -> bool:
    """Whether it can exist. New area codes in North America aren't all in the library's list."""
    if number.country_code == 1:
        return bool(NORTH_AMERICA.fullmatch(str(number.national_number)))
    return phonenumbers.is_valid_number(number)


def _is_ip_address(text: str) -> bool:
    """Zoom's invitations list some, for conference rooms."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def region_of(number: PhoneNumber) -> str:
    """The country, such as "US"; "" if no single one has this number."""
    return phonenumbers.region_code_for_number(number) or ""


def plain(number: PhoneNumber) -> str:
    """+16699006833, as in tel: links (RFC 3966)"""
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def international(number: PhoneNumber) -> str:
    """+1 669 900 6833"""
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL).replace("-", " ")


def as_dialed(number: PhoneNumber, region: str) -> str:
    """What someone in this country dials, on any phone: 1 (669) 900-6833"""
    return phonenumbers.format_out_of_country_calling_number(number, region or HOME_REGION)
