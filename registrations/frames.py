"""A mail's HTML inside a page of ours."""

from django.http import HttpResponse


def framed(html: str) -> HttpResponse:
    """A mail's HTML for a frame of ours: inline styles, as mails need them, and nothing else.

    Its links open in a tab of their own: our pages refuse to be framed.
    """
    response = HttpResponse(html.replace("<head>", '<head><base target="_blank">', 1))
    response["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response
