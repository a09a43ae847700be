"""The colors that CSS can't reach: of emails, the browser's bar and the icon.

They match static/css/tokens.css, where "page" is --paper and "quiet" --muted. Each color of emails
in dark mode has a rule in templates/mails/base.html.
"""

COLORS = {
    "ink": "#0f332d",
    "page": "#f3f7f1",
    "card": "#ffffff",
    "sun": "#ffbb22",
    "alarm": "#bb2d14",
    "link": "#0b5f50",
    "quiet": "#4a6660",
    "line": "#cad4ce",
}
DARK_COLORS = {
    "ink": "#f3f7f1",
    "page": "#0c2420",
    "head": "#0c352d",
    "card": "#1f3833",
    "panel": "#142c27",
    "sun": "#ffbb22",
    "alarm": "#f0a08e",
    "link": "#fdc951",
    "quiet": "#bcc5c0",
    "line": "#46605a",
}
