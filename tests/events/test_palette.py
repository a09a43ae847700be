"""Every set of colors can be read, in both schemes, and is the same in CSS and outside of it."""

import re

import pytest

from events.models import Event
from events.sharing import palette
from tests.services.process import BASE_DIR

pytestmark = pytest.mark.once

CSS = BASE_DIR / "static" / "css"
SCHEMES = ("light", "dark")
# Each token that is a color on screen, as the browser mixes it: {"--ink": "#0f332d", ...}.
RESOLVE = """names => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const probe = document.body;
  return Object.fromEntries(names.map((name) => {
    probe.style.color = `var(${name})`;
    context.fillStyle = getComputedStyle(probe).color;
    context.fillRect(0, 0, 1, 1);
    const bytes = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    return [name, "#" + bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")];
  }));
}"""
PAGES = ("--paper", "--card", "--tint", "--alarm-tint")
# What is written on what.
TEXTS = {
    "--ink": PAGES,
    "--muted": PAGES,
    "--link": PAGES,
    "--alarm": PAGES,
    "--on-poster": ("--poster",),
    "--on-band": ("--band",),
    "--band-accent": ("--band",),
    "--on-action": ("--action", "--action-hover"),
    "--spruce": ("--sun",),
}
# Borders of fields, and the ring around what has the focus.
EDGES = {
    "--edge": ("--paper", "--card"),
    "--focus": ("--paper", "--card"),
    "--poster-focus": ("--poster",),
    "--band-accent": ("--band",),
}
# What a poster shows must be seen, though nobody has to read it.
DRAWN = {
    "--poster-bars": ("--poster",),
    "--poster-sun": ("--poster", "--poster-bars", "--poster-far", "--poster-near"),
}
EMAIL_GROUNDS = {"light": ("page", "card"), "dark": ("page", "card", "panel")}


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2), from 0 to 1."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    light = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG 2.2), from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.fixture(scope="module")
def tokens(browser):
    """The colors of tokens.css, by set and scheme."""
    css = (CSS / "tokens.css").read_text()
    names = sorted({*re.findall(r"^ +(--[a-z-]+): (?:#|var\(--|color-mix)", css, re.MULTILINE)})
    page, found = browser.new_page(), {}
    for name in palette.SETS:
        page.set_content(f'<html data-colors="{name}"><style>{css}</style><body>')
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found[name, scheme] = page.evaluate(RESOLVE, names)
    page.close()
    return found


def too_faint(tokens, pairs, least):
    return {
        (*kind, one, other): round(contrast(colors[one], colors[other]), 2)
        for kind, colors in tokens.items()
        for one, others in pairs.items()
        for other in others
        if contrast(colors[one], colors[other]) < least
    }


def test_an_event_chooses_from_these_sets():
    assert [*palette.SETS] == Event.Colors.values
    assert Event().colors == palette.DEFAULT


def test_all_texts_can_be_read(tokens):
    assert too_faint(tokens, TEXTS, 4.5) == {}


def test_edges_and_the_focus_can_be_seen(tokens):
    assert too_faint(tokens, EDGES, 3) == {}


def test_posters_can_be_seen_in_both_schemes(tokens):
    assert too_faint(tokens, DRAWN, 1.5) == {}


@pytest.mark.parametrize("name", palette.SETS)
def test_all_texts_of_emails_can_be_read(name):
    light, dark = palette.colors(name), palette.dark_colors(name)
    faint = [
        (scheme, text, ground)
        for scheme, colors in (("light", light), ("dark", dark))
        for text in ("ink", "quiet", "link", "alarm")
        for ground in EMAIL_GROUNDS[scheme]
        if contrast(colors[text], colors[ground]) < 4.5
    ]
    assert faint == []
    # The head and the button.
    assert contrast(light["ink"], light["sun"]) >= 4.5
    assert contrast(light["card"], light["ink"]) >= 4.5
    assert contrast(dark["ink"], dark["head"]) >= 4.5
    assert contrast(dark["page"], dark["sun"]) >= 4.5


def test_colors_outside_of_css_are_those_of_the_style_sheet(tokens):
    """Python mixes them as the browser does, but for the rounding of the last bit."""

    def is_same(one: str, other: str) -> bool:
        return all(
            abs(int(one[at : at + 2], 16) - int(other[at : at + 2], 16)) <= 1 for at in (1, 3, 5)
        )

    for (name, scheme), css in tokens.items():
        assert {css[f"--{each}"]: each for each in palette.SETS[name]} == {
            value: each for each, value in palette.SETS[name].items()
        }
        colors = palette.colors(name) if scheme == "light" else palette.dark_colors(name)
        outside = {
            **{"ink": "--ink", "page": "--paper", "card": "--card", "sun": "--sun"},
            **{"alarm": "--alarm", "link": "--link", "quiet": "--muted"},
        }
        assert [
            (name, scheme, each, colors[each], css[token])
            for each, token in outside.items()
            if not is_same(colors[each], css[token])
        ] == []


@pytest.mark.parametrize("name", palette.SETS)
def test_icons_have_the_colors_of_a_set(client, name):
    colors = {palette.colors(name)[each] for each in ("ink", "page", "sun")}
    for mark in ("sun", "bars"):
        icon = client.get(f"/icons/{mark}/{name}.svg")
        assert icon["Content-Type"] == "image/svg+xml"
        assert {*re.findall(r"#[0-9a-f]{6}", icon.content.decode())} == colors


@pytest.mark.parametrize("path", ["bars/nothing", "nothing/harbor", "hills/sunrise"])
def test_there_are_no_other_icons(client, path):
    assert client.get(f"/icons/{path}.svg").status_code == 404
    assert client.get(f"/icons/{path}.png").status_code == 404
