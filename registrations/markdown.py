"""Organizers' Markdown (CommonMark) as HTML that is safe in a mail."""

import nh3
from markdown_it import MarkdownIt

# No image: it would tell a third party who reads, and when.
TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "strong", "em", "s", "blockquote"),
    *("ul", "ol", "li", "code", "pre", "a"),
}
SCHEMES = {"http", "https", "mailto", "tel"}

_parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("strikethrough")


def to_html(source: str) -> str:
    """Render Markdown. Raw HTML in it is shown as text, and links lead to the web or to mail."""
    return nh3.clean(
        _parser.render(source),
        tags=TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=SCHEMES,
        link_rel=None,
    )
