"""Organizers' Markdown (CommonMark) as HTML that is safe in an email and on a page."""

from functools import lru_cache

import nh3
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt

TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "s", "blockquote"),
    *("ul", "ol", "li", "code", "pre", "a"),
}
SCHEMES = {"http", "https", "mailto", "tel"}

# A bare https://... becomes a link too: that is how people paste one.
_parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": True})
_parser.enable(["strikethrough", "linkify"])
# People indent paragraphs. No one here writes code.
_parser.disable("code")


# Each batch of a mailing has the same text, in a few languages.
@lru_cache(maxsize=20)
def to_html(source: str, below: int = 0) -> str:
    """Render Markdown. Raw HTML is shown as text, and links can only use SCHEMES.

    `below` is the level of the heading above the text: its own have a lower one.
    """
    tokens = _parser.parse(source)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1:]) + below, 6)}"
    return nh3.clean(
        _parser.renderer.render(tokens, _parser.options, {}),
        tags=TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=SCHEMES,
        link_rel=None,
    )


def problems(source: str) -> list[str]:
    """What wouldn't look as intended in an email, for its author to read."""
    found = []
    for token in _parser.parse(source):
        for part in token.children or []:
            address = str(part.attrGet("href") or "")
            if part.type == "image":
                found.append(
                    _("Remove the picture: it would tell others who reads this email, and when.")
                )
            elif address and not address.startswith(tuple(f"{name}:" for name in SCHEMES)):
                message = _("Write links in full, like https://example.org/, not %(address)s.")
                found.append(message % {"address": address})
            elif "%7B" in address or "{" in address:
                found.append(_("Links can't contain a placeholder."))
    return list(dict.fromkeys(found))
