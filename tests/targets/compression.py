"""Compresses the pages that Caddy compresses in docker-compose.yml, as it does."""

import gzip
import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from tests.services.process import BASE_DIR

# In docker-compose.yml, $$ is a dollar sign.
_RULE = re.search(r"path_regexp (\S+)", (BASE_DIR / "docker-compose.yml").read_text())
COMPRESSED_PATH = re.compile(_RULE[1].replace("$$", "$"))
# Caddy's own. For browsers that take it, zstd makes them a little smaller.
LEVEL, SHORTEST = 5, 512


def as_by_caddy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_public = COMPRESSED_PATH.match(request.path) and not request.COOKIES
        if is_public and not response.streaming and len(response.content) >= SHORTEST:
            response.content = gzip.compress(response.content, LEVEL)
            response["Content-Encoding"] = "gzip"
            response["Content-Length"] = len(response.content)
        return response

    return middleware
