"""Redaction of secrets in output: the only place that decides what is a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raylift.key_path import KeyPath

REDACTED = "***"

# Every value below these keys is a secret, because their names rarely tell.
_SECTIONS = {"env", "env_vars", "headers", "secretEnv"}
# The end of a key, in snake case, kebab case or camel case. `max_tokens` and
# `tokenizer` are not secrets.
_NAME = re.compile(
    r"(pass|passwords?|passwd|passphrase|pwd|secrets?|token|credentials?|authorization"
    r"|auth|bearer|cookie|dsn|signature|salt|connection[-_]?string"
    r"|(pass|secret|token)[-_]?(value|text))$",
    re.IGNORECASE,
)
# `api_key` and `openai_key` are secrets; `primary_key` and `key` are not.
_KEY = re.compile(r"(?P<which>[a-z]+)([-_]keys?|Keys?)$")
_HARMLESS_KEYS = {
    *("cache", "column", "dict", "foreign", "group", "index", "label", "lookup"),
    *("partition", "primary", "public", "routing", "row", "shard", "sort", "unique"),
}
_WELL_KNOWN = (
    r"\bhf_[A-Za-z0-9]{20}|\bgh[pousr]_\w{20}|\bgithub_pat_\w{20}|\bglpat-[\w-]{20}"
    r"|\bsk-[\w-]{20}|\bxox[abeoprs]-\w{4}|\bA[KS]IA[A-Z0-9]{16}\b|\bAIza[\w-]{30}"
    r"|\beyJ[\w-]{10,}\.[\w-]+|\bnpm_\w{30}|\bpypi-\w{20}|\bdo[opr]_v1_\w{20}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_VALUE = re.compile(
    r"://[^/\s@]+@"  # a password or a token in a URL
    r"|[?&](X-Amz-Signature|X-Goog-Signature|sig|signature|token|access_token|api_key"
    r"|key|password)="
    rf"|\b(Bearer|Basic) [\w+/=.-]{{8}}|{_WELL_KNOWN}",
    re.IGNORECASE,
)

# A token with the rest of its word.
_TOKEN = re.compile(rf"(?:{_VALUE.pattern})[^\s\"'<>]*", re.IGNORECASE)
# `password=x`, `"token": "x"`; a value after a plain colon is prose.
_ASSIGNED = re.compile(
    r"""(?P<name>[A-Za-z][\w-]*)(?P<sign>\s*=\s*|["']\s*:\s*)(?P<value>["']?[^\s"',;)}]+)"""
)
_PEM = re.compile(r"-----BEGIN [^-]*PRIVATE KEY.*?(-----END [^-]*-----|\Z)", re.DOTALL)


def is_secret(path: KeyPath, value: object) -> bool:
    """Return whether a value at a path must not be shown."""
    if value is None or isinstance(value, bool | dict | list):
        return False
    is_named = any(isinstance(key, str) and _is_secret_name(key) for key in path)
    is_in_section = any(key in _SECTIONS for key in path[:-1])
    return is_named or is_in_section or bool(_VALUE.search(str(value)))


def has_token(text: str) -> bool:
    """Return whether a text contains a private key or a token of a known service."""
    return bool(re.search(_WELL_KNOWN, text, re.IGNORECASE))


def _is_secret_name(key: str) -> bool:
    if match := _KEY.search(key):
        return match["which"].lower() not in _HARMLESS_KEYS
    return bool(_NAME.search(key))


def redacted(value: object, path: KeyPath) -> object:
    """Return a copy of a value in which secrets are replaced."""
    if is_secret(path, value):
        return REDACTED
    if isinstance(value, dict):
        return {key: redacted(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, (*path, index)) for index, item in enumerate(value)]
    return value


def without_tokens(text: str) -> str:
    """Return a text in which tokens and passwords in URLs are replaced."""
    return _TOKEN.sub(REDACTED, text)


def without_secrets(text: str) -> str:
    """Return a text in which private keys, tokens and assigned secrets are replaced."""
    return _ASSIGNED.sub(_assigned, without_tokens(_PEM.sub(REDACTED, text)))


def _assigned(match: re.Match[str]) -> str:
    if not _is_secret_name(match["name"]):
        return match[0]
    return f"{match['name']}{match['sign']}{REDACTED}"
