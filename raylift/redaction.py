"""Redaction of secrets in output: the only place that decides what is a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raylift.key_path import KeyPath

REDACTED = "***"

# Every value below these keys is a secret, because their names rarely tell.
_SECTIONS = {"env", "env_vars", "envs", "environment", "headers", "secretEnv"}
# The end of a key, in snake case, kebab case or camel case. `max_tokens` and
# `tokenizer` are not secrets.
_NAME = re.compile(
    r"(pass|passwords?|passwd|passphrase|passcode|pwd|secrets?|token|credentials?"
    r"|authorization|auth|bearer|cookie|dsn|jwt|signature|salt"
    r"|conn(ection)?[-_]?str(ing)?|webhook[-_]?url|(pass|secret|token)[-_]?(value|text)"
    r"|(api|access|secret|private|signing|encryption|account)[-_]?keys?)$",
    re.IGNORECASE,
)
# What may follow the name of a secret: `password2`, `api_key_1`, `private_key_pem`.
_AFTER_NAME = re.compile(r"([-_]?\d+|[-_](pem|b64|base64))$", re.IGNORECASE)
# `openai_key` and `SIGNING_KEY` are secrets; `primary_key` and `key` are not.
_KEY = re.compile(r"(?P<which>[A-Za-z]+)([-_](?i:keys?)|(?<=[a-z])Keys?)$")
_HARMLESS_KEYS = {
    *("cache", "column", "dict", "foreign", "group", "index", "label", "lookup"),
    *("partition", "primary", "public", "routing", "row", "shard", "sort", "unique"),
}
_WELL_KNOWN = (
    r"\bhf_[A-Za-z0-9]{20}|\bgh[pousr]_\w{20}|\bgithub_pat_\w{20}|\bglpat-[\w-]{20}"
    r"|\bsk-[\w-]{20}|\bxox[abeoprs]-\w{4}|\bA[KS]IA[A-Z0-9]{16}\b|\bAIza[\w-]{30}"
    r"|\beyJ[\w-]{10,}\.[\w-]+|\bnpm_\w{30}|\bpypi-\w{20}|\bdo[opr]_v1_\w{20}"
    r"|\b[rs]k_(live|test)_\w{10}|\bgsk_\w{20}|\bnvapi-[\w-]{20}|\br8_\w{20}"
    r"|\bdapi[0-9a-f]{30}|\bSG\.[\w-]{16,}\.[\w-]{16}|\bhvs\.[\w-]{20}"
    r"|\bdckr_pat_[\w-]{20}|hooks\.slack\.com/services/\w"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_VALUE = (
    r"://[^/\s@]+@"  # a password or a token in a URL
    r"|[?&](X-Amz-Signature|X-Goog-Signature|sig|signature|token|access_token|api_?key"
    r"|key|password)="
    rf"|\b(Bearer|Basic) [\w+/=.-]{{8}}|{_WELL_KNOWN}"
)

# A token with the rest of its word.
_TOKEN = re.compile(rf"(?:{_VALUE})[^\s\"'<>]*", re.IGNORECASE)
_TEXT = r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"',;)}]+)"""
# `password=x`, `"token": "x"`, `token: 'x'`; other text after a colon is prose.
_ASSIGNED = re.compile(
    r"""(?P<lead>(?P<name>[A-Za-z][\w-]*)(\s*=\s*|["']\s*:\s*|:\s*(?=["'])))"""
    rf"{_TEXT}"
)
_FLAG = re.compile(rf"(?P<lead>--(?P<name>[A-Za-z][\w-]*)\s+)(?!-){_TEXT}")
_COOKIE = re.compile(r"(?P<lead>\bcookie:[ \t]*)[^\r\n\"']+", re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN [^-]*PRIVATE KEY.*?(-----END [^-]*-----|\Z)", re.DOTALL)


def is_secret(path: KeyPath, value: object) -> bool:
    """Return whether a value at a path must not be shown."""
    if value is None or isinstance(value, bool | dict | list):
        return False
    is_named = any(isinstance(key, str) and _is_secret_name(key) for key in path)
    is_in_section = any(key in _SECTIONS for key in path[:-1])
    return is_named or is_in_section or without_secrets(str(value)) != str(value)


def has_token(text: str) -> bool:
    """Return whether a text contains a private key or a token of a known service."""
    return bool(re.search(_WELL_KNOWN, text, re.IGNORECASE))


def _is_secret_name(key: str) -> bool:
    key = _AFTER_NAME.sub("", key)
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
        flags = [None, *value]  # `--token` names the item after it
        return [
            redacted(item, (*path, *_named_by(before), index))
            for index, (before, item) in enumerate(zip(flags, value, strict=False))
        ]
    return value


def _named_by(flag: object) -> tuple[str, ...]:
    is_flag = isinstance(flag, str) and re.fullmatch(r"--?[A-Za-z][\w-]*", flag)
    return (str(flag),) if is_flag else ()


def without_tokens(text: str) -> str:
    """Return a text in which tokens and passwords in URLs are replaced."""
    return _TOKEN.sub(REDACTED, text)


def without_secrets(text: str) -> str:
    """Return a text in which private keys, tokens and assigned secrets are replaced."""
    text = without_tokens(_PEM.sub(REDACTED, text))
    text = _COOKIE.sub(rf"\g<lead>{REDACTED}", text)
    return _FLAG.sub(_assigned, _ASSIGNED.sub(_assigned, text))


def _assigned(match: re.Match[str]) -> str:
    if _is_secret_name(match["name"]):
        return f"{match['lead']}{REDACTED}"
    return match["lead"] + _ASSIGNED.sub(_assigned, match["value"])
