"""Environment variables for a closed run, with servers or embedded."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.services.database import postgres, redis_server, spare_redis_database
from tests.services.process import temporary_folder

# What a shell or an .env file may have set, and a test must not inherit.
PRODUCT_VARIABLES = (
    *("ALLOWED_HOSTS", "DEBUG", "SECRET_KEY", "SITE_URL", "TRUSTED_PROXY_COUNT", "VAR_DIR"),
    *("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "EMAIL_TIMEOUT", "DEFAULT_FROM_EMAIL"),
    *("ANYMAIL", "ANYMAIL_WEBHOOK_SECRET", "MAIL_PER_MINUTE"),
    *("ZOOM_ACCOUNT_ID", "ZOOM_CLIENT_ID", "ZOOM_CLIENT_SECRET", "ZOOM_WEBHOOK_SECRET"),
    *("ZOOM_API_URL", "ZOOM_OAUTH_URL", "ZOOM_PLAN", "ZOOM_TIMEOUT"),
    *("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "FACEBOOK_CLIENT_ID", "FACEBOOK_CLIENT_SECRET"),
    *("X_CLIENT_ID", "X_CLIENT_SECRET", "WORDPRESS_CLIENT_ID", "WORDPRESS_CLIENT_SECRET"),
    *("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET", "MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET"),
)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """This process's environment, with the product's variables as a closed test has them.

    What the product writes goes below `folder`; `variables` come last.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in PRODUCT_VARIABLES}
    var_dir = folder / "var"
    var_dir.mkdir(mode=0o700, exist_ok=True)
    return {
        **inherited,
        "DJANGO_SETTINGS_MODULE": "strategyweek.settings",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SITE_URL": "http://localhost",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "DEFAULT_FROM_EMAIL": "Strategy Week <week@example.org>",
        "TRUSTED_PROXY_COUNT": "0",
        "VAR_DIR": str(var_dir),
        **variables,
    }


@contextmanager
def embedded(**variables: str) -> Iterator[dict[str, str]]:
    """An environment without servers: SQLite and the in-tree broker, in a fresh folder."""
    with temporary_folder() as folder:
        yield environment(folder, **variables)


@contextmanager
def served(*, durable: bool = True, **variables: str) -> Iterator[dict[str, str]]:
    """An environment with PostgreSQL and Redis: the caller's own, or started for this run."""
    with ExitStack() as parts:
        folder = parts.enter_context(temporary_folder())
        database, broker = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
        yield environment(
            folder,
            DATABASE_URL=database or parts.enter_context(postgres(folder, durable=durable)),
            REDIS_URL=parts.enter_context(
                spare_redis_database(broker) if broker else redis_server(folder)
            ),
            **variables,
        )
