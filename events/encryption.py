"""Secrets in the database, encrypted with a key made from SECRET_KEY.

What was encrypted with one of SECRET_KEY_FALLBACKS is still read.
"""

import base64
import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unreadable(Exception):
    """It was encrypted with another key, or changed."""


def encrypt(data: Any, *, purpose: str) -> str:
    """Encrypt what JSON can hold. Only the same purpose decrypts it."""
    return _ciphers(purpose).encrypt(json.dumps(data).encode()).decode()


def decrypt(text: str, *, purpose: str) -> Any:
    """Raises Unreadable."""
    try:
        return json.loads(_ciphers(purpose).decrypt(text.encode()))
    except InvalidToken:
        raise Unreadable from None


def _ciphers(purpose: str) -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([_cipher(key, purpose) for key in keys])


@lru_cache(maxsize=20)
def _cipher(secret_key: str, purpose: str) -> Fernet:
    """A key for this purpose only, from the site's secret (HKDF: RFC 5869)."""
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
    return Fernet(base64.urlsafe_b64encode(derive.derive(secret_key.encode())))
