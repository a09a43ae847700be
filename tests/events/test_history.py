"""What the history stores instead of secrets."""

import pytest

from events.history import without_secret

TOKEN = "Verysecret"


@pytest.mark.parametrize(
    ("name", "text", "stored"),
    [
        ("body_en", f"Go: https://zoom.us/j/1?pwd={TOKEN} now", "Go: https://zoom.us/j/1?... now"),
        ("body_en", f"[Join](https://zoom.us/j/1?pwd={TOKEN})", "[Join](https://zoom.us/j/1?..."),
        ("body_en", f"HTTPS://ZOOM.US/j/1?pwd={TOKEN}", "HTTPS://ZOOM.US/j/1?..."),
        ("body_en", f"us02web.zoom.us/j/1?pwd={TOKEN}", "us02web.zoom.us/j/1?..."),
        ("body_en", f"https://notes.example/a#{TOKEN}", "https://notes.example/a?..."),
        ("body_en", f"https://zoom.us/rec/share/{TOKEN}", "https://zoom.us/rec/share/..."),
        ("body_en", f"zoom.us/rec/play/{TOKEN}?startTime=1", "zoom.us/rec/play/..."),
        ("choices_en", [f"https://a.example/?{TOKEN}", "No"], ["https://a.example/?...", "No"]),
        ("join_url", f"https://zoom.us/j/1?pwd={TOKEN}", "https://zoom.us/j/1?..."),
        ("recording_url", f"https://zoom.us/rec/share/{TOKEN}", "https://zoom.us/..."),
        ("notes_url", f"https://docs.example/d/{TOKEN}/edit", "https://docs.example/..."),
        ("notes_url", f"https://docs.example?{TOKEN}", "https://docs.example..."),
        ("notes_url", "https://docs.example/", "https://docs.example/"),
        ("passcode", TOKEN, True),
        ("passcode", "", False),
    ],
)
def test_secret_of_a_text_is_left_out(name, text, stored):
    assert without_secret(name, text) == stored


@pytest.mark.parametrize(
    "text",
    ["Who? Everyone.", "See https://zoom.us/j/1 or example.org. Why?", "a.b?c", 5, None, True],
)
def test_other_values_stay(text):
    assert without_secret("body_en", text) == text
