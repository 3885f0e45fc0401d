"""Detection of secrets by file name and by content; for this package only.

Results contain the kind of secret and the line, never the secret. Everybody with access
to the cluster's storage can read a package, so the rules prefer false positives;
`.rayliftallow` allows a file.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

MAX_SCANNED = 256 * 1024
"""Maximum size in bytes; larger files are data, in which tokens are rare."""

_MAX_PEM = (
    4 * 1024 * 1024
)  # bytes; the bundle of all public root certificates is 0.3 MB

_NAMES = {
    "an environment file": r"\.env(?:\..*)?(?<!\.example)(?<!\.sample)(?<!\.template)",
    "a private key": r"id_(?:rsa|dsa|ecdsa|ed25519).*(?<!\.pub)|.*\.key",
    "a key store": r".*\.(?:p12|pfx|jks|keystore)",
    "a password file": r"[._]netrc|\.pypirc|\.git-credentials",
    "a kubeconfig": r"kubeconfig(?:\.ya?ml)?|.*\.kubeconfig",
    "Terraform state": r".*\.tfstate.*",
    "cloud credentials": r"credentials\.json|service[-_]account.*\.json",
}
_PLACES = {
    "AWS credentials": r"(?:.*/)?\.aws/.*",
    "SSH keys": r"(?:.*/)?\.ssh/.*",
    "a kubeconfig": r"(?:.*/)?\.kube/config",
    "registry credentials": r"(?:.*/)?\.docker/config\.json",
}


def _either(rules: dict[str, str]) -> re.Pattern[str]:
    """Return a combined pattern; the index of the matching group is its rule."""
    return re.compile("|".join(f"({rule})" for rule in rules.values()), re.DOTALL)


_NAME, _NAME_KINDS = _either(_NAMES), ["", *_NAMES]
_PLACE, _PLACE_KINDS = _either(_PLACES), ["", *_PLACES]


class _Phrase(NamedTuple):
    """A kind of secret in text. Only files that contain a needle are searched."""

    what: str
    needles: tuple[bytes, ...]
    pattern: re.Pattern[bytes]


_NPM_TOKEN = _Phrase(
    "an npm token",
    (b"_auth", b"_password"),
    re.compile(rb"_(?:auth|authToken|password)[ \t]*=[ \t]*[^\s$]"),
)
_PHRASES = (
    _Phrase(
        "a private key",
        (b"-----BEGIN ",),
        re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    ),
    # The keys in AWS documentation end in EXAMPLE and are not valid.
    _Phrase(
        "an AWS access key ID",
        (b"AKIA", b"ASIA"),
        re.compile(
            rb"(?<![A-Za-z0-9])A[KS]IA(?!\w{9}EXAMPLE)[A-Z0-9]{16}(?![A-Za-z0-9])"
        ),
    ),
    # `${...}` and `{{...}}` are references, not secrets.
    _Phrase(
        "a Pulumi passphrase",
        (b"PULUMI_CONFIG_PASSPHRASE",),
        re.compile(rb"PULUMI_CONFIG_PASSPHRASE[\"']?[ \t]*[=:][ \t]*[\"']?[^\s\"'$<{]"),
    ),
)

# Token prefixes are short (`sk-`), and ten searches for three letters take longer than
# reading the file. One search therefore finds all long words, whose prefixes are
# compared.
_LONG = 26  # bytes; no token is shorter (for a web token: its header)
_IN_WORD = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_WORDS = bytes(ord("x") if byte in _IN_WORD else ord(" ") for byte in range(256))
_TOKENS = {
    "a Hugging Face token": rb"hf_[A-Za-z0-9]{30}",
    "a GitHub token": rb"gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{40}",
    # Requires a digit, because CSS classes of spinners also start with `sk-`.
    "an API key": rb"sk-(?=[A-Za-z_-]*[0-9])[\w-]{40}",
    "a Slack token": rb"xox[abeoprs]-(?:[0-9]+-)+[A-Za-z0-9]{16}",
    "a GitLab token": rb"glpat-[\w-]{20}",
    "a Google API key": rb"AIza[\w-]{35}",
    "an npm token": rb"npm_[A-Za-z0-9]{36}",
    "a PyPI token": rb"pypi-[\w-]{50}",
    "a DigitalOcean token": rb"do[opr]_v1_[a-f0-9]{64}",
    "a JSON Web Token": rb"eyJ[\w-]+\.eyJ[\w-]{10,}\.[\w-]{20}",
}
_TOKEN = re.compile(b"|".join(b"(%s)" % rule for rule in _TOKENS.values()))
_TOKEN_KINDS = ["", *_TOKENS]

_PEM_BLOCK = re.compile(rb"-----BEGIN ([^-]*)-----")

VERSION = hashlib.sha256(
    repr((3, MAX_SCANNED, _NAMES, _PLACES, _PHRASES, _TOKENS, _NPM_TOKEN)).encode()
).hexdigest()[:16]
"""The version of the rules; cached results of other versions are not used."""


def by_name(path: str, size: int) -> str:
    """Return the kind of secret that a POSIX path suggests, or "".

    `size` is in bytes. A `.pem` file is judged by content unless it is too large.
    """
    low = path.lower()
    name = low.rpartition("/")[2]
    if hit := _NAME.fullmatch(name):
        return _NAME_KINDS[hit.lastindex or 0]
    if ("/." in low or low[0] == ".") and (place := _PLACE.fullmatch(low)):
        return _PLACE_KINDS[place.lastindex or 0]
    return "a private key" if name.endswith(".pem") and size > _MAX_PEM else ""


def is_judged_by_content(path: str, size: int) -> bool:
    """Return whether `by_content` applies to a file of this size in bytes."""
    return size <= MAX_SCANNED or path.lower().endswith((".pem", ".npmrc"))


def by_content(path: str, content: bytes) -> str:
    """Return the first kind of secret in a file's content with its line, or ""."""
    low = path.lower()
    if low.endswith(".pem"):
        return "" if _only_certificates(content) else "a private key"
    if b"\0" in content:  # not text
        return ""
    phrases = (_NPM_TOKEN, *_PHRASES) if low.endswith(".npmrc") else _PHRASES
    return _phrase(phrases, content) or _token(content)


def _phrase(phrases: tuple[_Phrase, ...], content: bytes) -> str:
    for what, needles, pattern in phrases:
        for needle in needles:
            if needle in content and (hit := pattern.search(content)):
                return _describe(what, content, hit.start())
    return ""


def _token(content: bytes) -> str:
    words = content.translate(_WORDS)
    at = words.find(b"x" * _LONG)
    while at >= 0:
        if hit := _TOKEN.match(content, at):
            return _describe(_TOKEN_KINDS[hit.lastindex or 0], content, at)
        end = words.find(b" ", at)
        at = words.find(b"x" * _LONG, end) if end >= 0 else end
    return ""


def _describe(what: str, content: bytes, at: int) -> str:
    line = content.count(b"\n", 0, at) + 1
    return f"{what} on line {line}"


def _only_certificates(content: bytes) -> bool:
    return set(_PEM_BLOCK.findall(content)) == {b"CERTIFICATE"}
