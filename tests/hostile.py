"""Hostile text, and forms that hold it."""

from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

# What is slow to normalize, to escape, to match and to read as a number, or can't be stored.
PIECES = [
    *("\u0300\u0327", "\ufdfa", "\u200b", "\u202e", "\u2066", "\u200d\U0001f3f3\ufe0f", "\u0130"),
    *("\0", "\ud800", "\udcff", "\uffff", "\x85", "\r\n", "\u2028", "&", "<", "%", "{", "'", "\\"),
    *("a.", "@", "9", "xn--", "_", "a,", "[", "/"),
]
WORDS = [
    *("", "=cmd|' /C calc'!A0", "@SUM(1+1)", "a@b.org\r\nBcc: x@example.org", "{{7*7}}", "%s%n"),
    *("../../etc/passwd", "Mars/Olympus", "America/New_York\0", "-1", "9" * 5000, "1e309", "NaN"),
    *("2026-13-45", "0000-00-00", "9999-12-31 23:59:59", "99999-01-01T00:00:00Z", "24:61"),
    *("bob@ex\u0430mple.org", "bob@xn--80ak6aa92e.com", "bob@xn--", "bob@fa\u00df.example"),
    *("\uff42ob@example.org", "bob@example.org\u200b", "b@\u202egro.elpmaxe", "//evil.example"),
    *("javascript:alert(1)", "null", "[]", '{"a": 1}', "true", "on", "\u0663", "1_000", "1,2"),
]
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=y"
TEXTS = st.one_of(
    st.sampled_from(WORDS),
    st.builds(
        lambda piece, count: "a" + piece * count,
        st.sampled_from(PIECES),
        st.sampled_from([1, 2, 300, 5000]),
    ),
    st.text(st.characters(exclude_categories=()), max_size=20),
)
Pairs = list[tuple[str, str]]


def as_bytes(text: str) -> bytes:
    """The text in UTF-8, and what isn't valid there as the bytes that it came from."""
    return text.encode("utf-8", "surrogatepass")


def quoted(text: str) -> str:
    return quote_from_bytes(as_bytes(text), safe="")


def urlencoded(pairs: Pairs) -> bytes:
    return "&".join(f"{quoted(name)}={quoted(value)}" for name, value in pairs).encode()


def multipart(pairs: Pairs) -> bytes:
    parts = (
        b'--y\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
        % (as_bytes(name), b'; filename="a"' if len(value) % 7 == 6 else b"", as_bytes(value))
        for name, value in pairs
    )
    return b"".join(parts) + b"--y--\r\n"
