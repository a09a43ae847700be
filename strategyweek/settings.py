"""Settings from environment variables; `.env.example` explains each one.

With DEBUG and nothing else set, the site uses SQLite, the embedded broker, and writes emails to
files in `var/mail/`. Without DEBUG it refuses to start until its secrets are set.
"""

import ipaddress
from collections.abc import Iterator
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import lazy
from django.utils.text import format_lazy

env = environ.Env()


def boolean(name: str) -> bool:
    """Read a boolean variable, false if unset. A typo is an error, not false."""
    value = env.str(name, default="").strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"", "0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def integer(name: str, *, default: int, minimum: int) -> int:
    """Read a whole number."""
    value = env.str(name, default="").strip() or str(default)
    if value.isdecimal() and int(value) >= minimum:
        return int(value)
    raise ImproperlyConfigured(
        f"{name} must be a whole number of at least {minimum}, not {value!r}."
    )


def required(name: str, *, debug_default: str, hint: str) -> str:
    """Read a variable that must be set unless DEBUG is on."""
    value = env.str(name, default="").strip()
    if value:
        return value
    if DEBUG:
        return debug_default
    raise ImproperlyConfigured(f"{name} is not set. {hint}")


def is_local(host: str) -> bool:
    """Whether this host can't be reached from the internet."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".test"))


BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
VAR_DIR.mkdir(parents=True, exist_ok=True)
DEBUG = boolean("DEBUG")

SECRET_KEY = required(
    "SECRET_KEY",
    debug_default="only-for-trying-out-on-this-machine",
    hint="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
)
# Fewer characters could be guessed. One that isn't random has few different ones.
if not DEBUG and (len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 5):
    raise ImproperlyConfigured(
        "SECRET_KEY must be at least 50 random characters. "
        "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    )
# Earlier keys: what they signed stays valid. New signatures are made with SECRET_KEY.
SECRET_KEY_FALLBACKS = [key for key in env.list("SECRET_KEY_FALLBACKS", default=[]) if key]
SITE_URL = required(
    "SITE_URL",
    debug_default="http://localhost:8000",
    hint="It's the public address that links in emails start with, such as https://week.example.org",
).rstrip("/")
SITE_ADDRESS = urlsplit(SITE_URL)
if SITE_ADDRESS.scheme not in {"http", "https"} or not SITE_ADDRESS.hostname:
    raise ImproperlyConfigured("SITE_URL must look like https://week.example.org")
if DEBUG and not is_local(SITE_ADDRESS.hostname):
    raise ImproperlyConfigured(
        "DEBUG is on, but SITE_URL is public: visitors would see secrets on error pages. "
        "Remove DEBUG, or set SITE_URL to an address of this machine or network."
    )
ALLOWED_HOSTS = [SITE_ADDRESS.hostname, *env.list("ALLOWED_HOSTS", default=[])]
if DEBUG:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "strategyweek",
    "events",
    "registrations",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "anymail",
    # Adds the columns of organizers' texts to the models, which admin pages name.
    "modeltranslation",
    "strategyweek.admin_config.OrganizersConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
]
MIDDLEWARE = [
    "strategyweek.middleware.reject_malformed_requests",
    "strategyweek.middleware.protect_personal_pages",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "strategyweek.middleware.choose_language",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "strategyweek.middleware.limit_public_forms",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "strategyweek.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
# Form fields are rendered with templates/django/forms/field.html.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# Databases

DATABASES: dict[str, Any] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'strategyweek.sqlite3'}")
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE takes the write lock first, which makes check-then-write safe.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    # A file, so that tests can share it with a live server and a worker.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
else:
    DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
# PostgreSQL ends a worker's statement after this: it would go on even if the worker is killed.
WORKER_STATEMENT_TIMEOUT_SECONDS = 60

# Cache and broker

REDIS_URL = env.str("REDIS_URL", default="")
# A request must finish within seconds even if Redis is frozen.
REDIS_TIMEOUTS = {"socket_timeout": 2, "socket_connect_timeout": 1}
LOCAL_MEMORY = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
# In the memory of each process, so that sign-in and the public pages work without the broker.
# Pages have a separate cache, so that visitors cannot push rate limits out of the default one.
CACHES: dict[str, Any] = {
    # One entry for each rate-limited visitor; beyond this, some are dropped.
    "default": LOCAL_MEMORY | {"OPTIONS": {"MAX_ENTRIES": 10_000}},
    "pages": LOCAL_MEMORY | {"LOCATION": "pages"},
    # Zoom's access token and rate limit, shared by all workers. Without Redis there is only one.
    "shared": LOCAL_MEMORY | {"LOCATION": "shared", "OPTIONS": {"MAX_ENTRIES": 10_000}},
}
CELERY_BROKER_URL = REDIS_URL or "embedded://localhost"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    REDIS_TIMEOUTS | {"max_retries": 0}
    if REDIS_URL
    else {"folder": str(VAR_DIR / "broker"), "polling_interval": 0.1}
)
if REDIS_URL:
    CACHES["shared"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": REDIS_TIMEOUTS,
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# A busy worker must not reserve a wake-up while another worker is idle. With --pool=threads, a
# worker whose threads were all busy may take a second to notice that one is free.
CELERY_WORKER_DISABLE_PREFETCH = bool(REDIS_URL)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULER = "strategyweek.beat:Scheduler"
# Each task, every how many seconds it runs, and after how many it is dropped if it hasn't started.
# All but the first may wait behind two delivery runs.
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    task: {"task": task, "schedule": schedule, "options": {"expires": expires}}
    for task, schedule, expires in (
        # During a mailing it expires before a slot is free, and leaves the slot to the tasks below.
        ("registrations.tasks.deliver_mails", 10, 10),
        ("registrations.tasks.queue_due_mails", 10, 600),
        ("events.tasks.sync_meetings", 10, 30),
        # It may run for 10 seconds. A single slot then still has as long for emails.
        ("registrations.tasks.issue_links", 20, 30),
        ("registrations.tasks.apply_zoom_reports", 10, 30),
        ("registrations.tasks.erase_expired", 600, 600),
        ("registrations.tasks.repair_time_zones", 3600, 3600),
        ("events.tasks.delete_unused_images", 3600, 3600),
        ("strategyweek.accounts.tasks.delete_unverified_accounts", 3600, 3600),
    )
}

# Mail

MAIL_DIR = VAR_DIR / "mail"
# Those that anymail supports without another package.
MAIL_PROVIDERS = (
    *("brevo", "mailersend", "mailgun", "mailjet", "mailtrap", "mandrill", "postal"),
    *("postmark", "resend", "scaleway", "sendgrid", "sparkpost", "unisender_go"),
)
EMAIL_URL = env.str("EMAIL_URL", default="")
EMAIL_TIMEOUT = integer("EMAIL_TIMEOUT", default=15, minimum=1)
ANYMAIL = env.dict("ANYMAIL", default={}) | {
    "REQUESTS_TIMEOUT": EMAIL_TIMEOUT,
    # Some can't send a calendar as an alternative of the text. It is attached too.
    "IGNORE_UNSUPPORTED_FEATURES": True,
}
if secret := env.str("ANYMAIL_WEBHOOK_SECRET", default=""):
    if ":" not in secret:
        raise ImproperlyConfigured("ANYMAIL_WEBHOOK_SECRET must look like name:password.")
    ANYMAIL["WEBHOOK_SECRET"] = secret
if EMAIL_URL.startswith("anymail://"):
    provider = EMAIL_URL.removeprefix("anymail://").strip("/")
    if provider not in MAIL_PROVIDERS:
        raise ImproperlyConfigured(f"EMAIL_URL must name one of {', '.join(MAIL_PROVIDERS)}.")
    EMAIL_BACKEND = f"anymail.backends.{provider}.EmailBackend"
elif EMAIL_URL:
    server = urlsplit(EMAIL_URL)
    if server.scheme not in {"smtp", "smtps", "smtp+tls", "smtp+ssl"} or not server.hostname:
        raise ImproperlyConfigured(
            "EMAIL_URL must look like smtp+tls://user:password@host:587, with %40 for an @ in the "
            "user name or the password."
        )
    vars().update(env.email_url("EMAIL_URL", backend="django.core.mail.backends.smtp.EmailBackend"))
else:
    # Without DEBUG, emails wait for a server from the admin: see events/site_settings.py.
    EMAIL_BACKEND = "strategyweek.dev_mailbox.EmailBackend" if DEBUG else ""
MAIL_PER_MINUTE = integer("MAIL_PER_MINUTE", default=0, minimum=0)
# The sender of every email. If it's empty, it can be entered in the admin.
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="").strip()
if not parseaddr(DEFAULT_FROM_EMAIL)[1].isascii():
    raise ImproperlyConfigured(
        "DEFAULT_FROM_EMAIL must have its domain in ASCII, such as xn--fa-hia.de for faß.de."
    )

# Zoom

ZOOM_ACCOUNT_ID = env.str("ZOOM_ACCOUNT_ID", default="").strip()
ZOOM_CLIENT_ID = env.str("ZOOM_CLIENT_ID", default="").strip()
ZOOM_CLIENT_SECRET = env.str("ZOOM_CLIENT_SECRET", default="").strip()
ZOOM_WEBHOOK_SECRET = env.str("ZOOM_WEBHOOK_SECRET", default="").strip()
ZOOM_API_URL = env.str("ZOOM_API_URL", default="") or "https://api.zoom.us/v2"
ZOOM_OAUTH_URL = env.str("ZOOM_OAUTH_URL", default="") or "https://zoom.us/oauth/token"
ZOOM_PLAN = env.str("ZOOM_PLAN", default="").strip().lower() or "pro"
if ZOOM_PLAN not in {"free", "pro", "business"}:
    raise ImproperlyConfigured(f"ZOOM_PLAN must be free, pro or business, not {ZOOM_PLAN!r}.")
ZOOM_TIMEOUT = integer("ZOOM_TIMEOUT", default=15, minimum=1)


def is_zoom(url: str) -> bool:
    parts = urlsplit(url)
    domain = ".".join((parts.hostname or "").split(".")[-2:])
    return parts.scheme == "https" and domain in {"zoom.us", "zoomgov.com"}


ZOOM_IS_FAKE = not (is_zoom(ZOOM_API_URL) and is_zoom(ZOOM_OAUTH_URL))
if ZOOM_IS_FAKE and not DEBUG:
    raise ImproperlyConfigured(
        "ZOOM_API_URL and ZOOM_OAUTH_URL must be addresses of Zoom, such as "
        "https://api.zoom.us/v2 and https://zoom.us/oauth/token. A fake Zoom is for DEBUG only."
    )

# Sign-in: organizers with a password; others with an emailed code or another site's account

AUTHENTICATION_BACKENDS = ["strategyweek.accounts.passwords.PasswordBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "my_weeks"
ACCOUNT_ADAPTER = "strategyweek.accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "strategyweek.accounts.adapters.PasswordForm",
    "request_login_code": "strategyweek.accounts.adapters.CodeForm",
    "reset_password": "strategyweek.accounts.adapters.PasswordResetForm",
    "reset_password_from_key": "strategyweek.accounts.adapters.NewPasswordForm",
}
# Our own forms, in addition to allauth's limits; counted by each web process. Many people can share
# an IP address: a mobile carrier, a venue, or volunteers who register people by phone.
ACCOUNT_RATE_LIMITS = {
    "find": "60/10m/ip",
    "register": "600/10m/ip",
    # Wrong passwords. The key is a visitor and an account: see AccountAdapter.
    "login_failed": "10/m/ip,5/5m/key",
}
ACCOUNT_LOGIN_METHODS = {"email", "username"}
ACCOUNT_SIGNUP_FIELDS = ["email*"]
ACCOUNT_LOGIN_BY_CODE_ENABLED = ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = True
# An address that another site has not verified must be verified by a code first.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
CODE_TIMEOUT = 15 * 60
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = CODE_TIMEOUT
# allauth's adds a row the first time, and the time for it would reveal an account.
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
LOGOUT_REDIRECT_URL = "account_signed_out"
SOCIALACCOUNT_ADAPTER = "strategyweek.accounts.adapters.SocialAdapter"
# Only if the account has verified the same address: see SocialAdapter.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5


def sign_in_providers() -> Iterator[tuple[str, str, dict[str, Any], list[str]]]:
    """The other sites whose keys are set: app, provider, its settings, and its origins for CSP."""
    allauth = "allauth.socialaccount.providers"
    for name, app, hosts in (
        ("GOOGLE", f"{allauth}.google", "accounts.google.com"),
        ("FACEBOOK", f"{allauth}.facebook", "*.facebook.com"),
        ("X", f"{allauth}.twitter_oauth2", "x.com twitter.com"),
        ("WORDPRESS", "strategyweek.accounts.wordpress", "*.wordpress.com wordpress.com"),
        ("GITHUB", f"{allauth}.github", "github.com"),
        ("MICROSOFT", f"{allauth}.microsoft", "login.microsoftonline.com login.live.com"),
    ):
        client_id = env.str(f"{name}_CLIENT_ID", default="").strip()
        secret = env.str(f"{name}_CLIENT_SECRET", default="").strip()
        if bool(client_id) != bool(secret):
            raise ImproperlyConfigured(f"Set both {name}_CLIENT_ID and {name}_CLIENT_SECRET.")
        if client_id:
            provider = app.rpartition(".")[2]
            keys = {"APPS": [{"client_id": client_id, "secret": secret}]}
            yield app, provider, keys, [f"https://{host}" for host in hosts.split()]


SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, Any]] = {}
# The sign-in buttons are forms that redirect to these origins, so form-action must allow them.
SIGN_IN_ORIGINS: list[str] = []
for app, provider, keys, origins in sign_in_providers():
    INSTALLED_APPS.append(app)
    SOCIALACCOUNT_PROVIDERS[provider] = keys
    SIGN_IN_ORIGINS += origins

ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0 if DEBUG else 1)
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
    for name in ("MinimumLength", "CommonPassword", "NumericPassword")
]
AUTH_PASSWORD_VALIDATORS += [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        # Django's 0.7 accepts maria-2026 for the user maria.
        "OPTIONS": {"max_similarity": 0.5},
    },
    {"NAME": "strategyweek.accounts.password_notice.PasswordNotice"},
]

# Security

HTTPS = SITE_ADDRESS.scheme == "https"
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
# HSTS must not cover the coalition's other subdomains.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
CSRF_TRUSTED_ORIGINS = [SITE_URL]
FILE_UPLOAD_HANDLERS = ["strategyweek.uploads.OrganizersUploads"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        **{name: [NONE] for name in ("default-src", "base-uri", "frame-ancestors")},
        **{name: [SELF] for name in ("script-src", "style-src", "font-src", "connect-src")},
        **{name: [SELF] for name in ("frame-src", "form-action")},
        "img-src": [SELF, "data:"],
    }
}

# Times, static files and logs

TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
# Each by its own name, so that its readers recognize it.
LANGUAGES = [("en", "English"), ("es", "Español")]
# Organizers' own texts: see events/languages.py. A text in one language is shown to everyone.
MODELTRANSLATION_FALLBACK_LANGUAGES = tuple(code for code, _name in LANGUAGES)


def in_language(label: Any, code: str) -> Any:
    """Title (Spanish)"""
    # It needs the settings.
    from events import languages

    return format_lazy("{} ({})", label, lazy(languages.names, str)([code]))


MODELTRANSLATION_BUILD_LOCALIZED_VERBOSE_NAME = in_language
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "strategyweek.formats"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "strategyweek.logs.PrivateFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        # Has its own handler by default, which would log secret URLs unfiltered.
        "gunicorn.error": {"handlers": ["console"], "propagate": False},
    },
}
