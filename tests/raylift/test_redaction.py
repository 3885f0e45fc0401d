"""Secrets that never reach output, and settings that are not secrets."""

from __future__ import annotations

import json

import pytest

from raylift.redaction import REDACTED, redacted, without_secrets
from raylift.serve_runtime.deploy.plan import plan

# Keys and values are concatenated where a secret scanner would report this file.
SECRETS = {
    "env_vars": {"TRACKING_PASSWORD": "one"},
    "env_vars of any name": {"env_vars": {"PLAIN": "one"}},
    "headers": {"headers": {"X-Any": "one"}},
    "password": {"password": "one"},
    "db_password": {"db_password": "one"},
    "dbPassword": {"dbPassword": "one"},
    "passphrase": {"passphrase": "one"},
    "passwd": {"passwd": "one"},
    "pwd": {"pwd": "one"},
    "secret": {"secret": "one"},
    "client_secret": {"client_secret": "one"},
    "token": {"token": "one"},
    "hf_token": {"hf_token": "one"},
    "accessToken": {"accessToken": "one"},
    "a number as a token": {"token": 4711},
    "api_key": {"api_key": "one"},
    "apiKey": {"apiKey": "one"},
    "api-key": {"api-key": "one"},
    "secrets": {"secrets": ["one"]},
    "passwords": {"passwords": {"ann": "one"}},
    "openai_key": {"openai_key": "one"},
    "auth": {"auth": "one"},
    "a token in a URL": {"url": "https://one@git.example/x"},
    "api_keys": {"api_keys": ["one"]},
    "access_key": {"aws_access_key": "one"},
    "private_key": {"private_key": "one"},
    "encryption_key": {"encryption_key": "one"},
    "signing_key": {"signing_key": "one"},
    "account_key": {"account_key": "one"},
    "credentials": {"credentials": {"user": "one"}},
    "authorization": {"Authorization": "one"},
    "cookie": {"cookie": "one"},
    "dsn": {"sentry_dsn": "one"},
    "connection string": {"connection_string": "one"},
    "a password in a URL": {"url": "postgres://user:one@db/x"},
    "a presigned URL": {"working_dir": "https://b/x.zip?X-Amz-Signature=one"},
    "a SAS URL": {"uri": "https://b/x?sv=1&sig=one"},
    "a package index with a password": {
        "pip": ["-i https://me:one@pypi.example/simple"]
    },
    "a Hugging Face token": {"x": "hf" + "_" + "one" * 10},
    "a GitHub token": {"x": "gh" + "p_" + "one" * 10},
    "a fine-grained GitHub token": {"x": "github" + "_pat_" + "one" * 10},
    "a GitLab token": {"x": "gl" + "pat-" + "one" * 10},
    "an OpenAI key": {"x": "sk" + "-" + "one" * 10},
    "a Slack token": {"x": "xo" + "xb-" + "one" * 10},
    "an AWS key ID": {"x": "AK" + "IA" + "ONE" * 5 + "A"},
    "a Google key": {"x": "AI" + "za" + "one" * 12},
    "a JSON Web Token": {"x": "ey" + "J" + "one" * 5 + ".one"},
    "a private key": {"x": "-----BEGIN RSA " + "PRIVATE KEY-----one"},
    "a bearer token": {"x": "Bearer one_one_one"},
    "API_KEY": {"OPENAI_API_KEY": "one"},
    "SECRET_KEY": {"SECRET_KEY": "one"},
    "X-Api-Key": {"X-Api-Key": "one"},
    "apikey": {"apikey": "one"},
    "conn_str": {"conn_str": "one"},
    "webhook_url": {"webhook_url": "one"},
    "jwt": {"jwt": "one"},
    "passcode": {"passcode": "one"},
    "a numbered password": {"password2": "one"},
    "a numbered key": {"api_key_1": "one"},
    "private_key_pem": {"private_key_pem": "one"},
    "envs": {"envs": {"PLAIN": "one"}},
    "a flag and its value": {"args": ["--password", "one"]},
    "a flag with its value": {"args": ["--password=one"]},
    "an assignment": {"x": "password=one"},
    "a query": {"url": "https://api.example/x?apikey=one"},
    "a Stripe key": {"x": "sk" + "_live_" + "one" * 6},
    "a Groq key": {"x": "gs" + "k_" + "one" * 10},
    "an NVIDIA key": {"x": "nv" + "api-" + "one" * 10},
    "a Replicate token": {"x": "r8" + "_" + "one" * 10},
    "a SendGrid key": {"x": "S" + "G." + "one" * 7 + "." + "one" * 7},
    "a Vault token": {"x": "hv" + "s." + "one" * 10},
    "a Docker token": {"x": "dckr" + "_pat_" + "one" * 10},
    "a Slack webhook": {"x": "https://hooks.slack" + ".com/services/one"},
}
PLAIN = {
    "max_tokens": 4096,
    "num_tokens": 8,
    "tokenizer": "llama",
    "token_budget": 3,
    "key": "name",
    "primary_keys": ["id"],
    "cache_key": "prompt",
    "keyboard": "us",
    "url": "https://example.com/a?version=2",
    "password_required": True,
    "temperature": 0.7,
    "model": "sk-learn",
    "author": "ann",
    "args": ["--model", "llama", "--verbose"],
    "monkey": "george",
    "DATABASE": "db",
    "prompt": "Answer: 'yes' or 'no'",
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_plan_shows_a_secret(name):
    value = {"env_vars": SECRETS[name]} if name == "env_vars" else SECRETS[name]
    old = {"import_path": "m:a", "runtime_env": value, "args": {"deep": [value]}}
    text = json.dumps(old)
    new = json.loads(text.replace("one", "two").replace("4711", "4712"))
    new["args"]["deep"] = [json.loads(json.dumps(new["args"]["deep"][0]))]
    (change,) = plan({"a": new}, {"a": old}).changes
    shown = json.dumps([(d.before, d.after) for d in change.differences])
    assert not any(secret in shown.lower() for secret in ("one", "two", "471"))
    assert change.action == ("change" if text != json.dumps(new) else "unchanged")


def test_settings_are_not_secrets():
    assert redacted(PLAIN, ()) == PLAIN


def test_a_value_that_is_not_set_is_shown_as_such():
    assert redacted(None, ("env_vars", "A")) is None
    assert redacted({"A": "x"}, ("env_vars",)) == {"A": REDACTED}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("OPENAI_API_KEY=xyz here", "OPENAI_API_KEY=*** here"),
        ("X-Api-Key=xyz", "X-Api-Key=***"),
        ("password: 'abc'", "password: ***"),
        ('{"password":"a b c", "x": 1}', '{"password":***, "x": 1}'),
        ("serve --api-key abc --port 1", "serve --api-key *** --port 1"),
        ("Cookie: session=abc; b=c", "Cookie: ***"),
        ("env:\n  PASSPHRASE=hunter2", "env:\n  PASSPHRASE=***"),
        ("env: 'PASSPHRASE=hunter2'", "env: 'PASSPHRASE=***'"),
        ("ValueError: bad password=hunter2", "ValueError: bad password=***"),
        ("token: must be a string", "token: must be a string"),
        ("run with --token --port 1", "run with --token --port 1"),
        ("name='x', size=3", "name='x', size=3"),
    ],
)
def test_a_secret_in_a_text_is_replaced(text, shown):
    assert without_secrets(text) == shown
