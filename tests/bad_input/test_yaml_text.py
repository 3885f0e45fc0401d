"""Text that is not valid YAML: the same error in a stack file and in a Serve config."""

from __future__ import annotations

import pytest

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(10 * [f'*{old}'])}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

# text, line (None for the whole file), message
TEXTS = {
    "nothing": ("", None, "is empty"),
    "a comment only": ("# nothing\n", None, "is empty"),
    "a byte order mark only": ("\ufeff", None, "is empty"),
    "a marker only": ("---\n", None, "must be a mapping, not null"),
    "text": ("hello\n", None, "must be a mapping, not the string 'hello'"),
    "a number": ("3\n", None, "must be a mapping, not the number 3"),
    "a list": ("- a\n", None, "must be a mapping, not a list"),
    "null": ("null\n", None, "must be a mapping, not null"),
    "a tab before a key": (
        "a:\n\tb: 1\n",
        2,
        "invalid YAML: found a tab; indent with spaces",
    ),
    "a tab after a colon": ("a:\n  b:\tc\n  d: 1\n", 2, "found a tab"),
    "two documents": (
        "a: 1\n---\nb: 1\n",
        2,
        "must contain one YAML document, not several",
    ),
    "three documents": (
        "---\na: 1\n---\nb: 1\n---\n",
        3,
        "must contain one YAML document, not several",
    ),
    "a NUL byte": ("a: 1\nb: \0\n", 2, r"control character \x00"),
    "a bell": ("a: \a\n", 1, r"control character \x07"),
    "an escape sequence": ("a: 1\n\nb: \x1b[31m\n", 3, r"control character \x1b"),
    "not UTF-8": (b"a: 1\nb: caf\xe9\n", 2, "not UTF-8 text"),
    "UTF-16": ("a: 1\n".encode("utf-16"), 1, "not UTF-8 text"),
    "half a character": ('a: "\\ud800"\n', 1, r"unpaired surrogate: \ud800"),
    "half a character as a key": ('"\\ud800": 1\n', 1, "unpaired surrogate"),
    "an open bracket": ("a: [\n", 2, "invalid YAML: unexpected end of file"),
    "an open brace": ("a: {b: 1\nc: 2\n", 2, "invalid YAML"),
    "an open quote": (
        "a: 'b\nc: 1\n",
        3,
        "end of file; unclosed quote or bracket on line 1",
    ),
    "a closing bracket": ("a: ]\n", 1, "invalid YAML"),
    "an unknown escape": ('a: "\\q"\n', 1, "unknown escape character 'q'"),
    "a lesser indent": ("a:\n  b: 1\n c: 2\n", 3, "inconsistent indentation"),
    "a greater indent": ("a: 1\n  b: 2\n", 2, "mapping values are not allowed here"),
    "an at sign": ("a: @x\n", 1, "character '@' that cannot start"),
    "a backtick": ("a: `x`\n", 1, "character '`' that cannot start"),
    "a percent sign": ("a: %x\n", 1, "character '%' that cannot start"),
    "YAML 1.1": ("%YAML 1.1\n---\na: no\n", 1, "must be YAML 1.2"),
    "YAML 9.9": ("# x\n%YAML 9.9\n---\na: 1\n", 2, "must be YAML 1.2"),
    "YAML without a version": ("%YAML\n---\na: 1\n", 1, "must be YAML 1.2"),
    "an unknown alias": (
        "a: 1\nb: *c\n",
        2,
        "undefined alias 'c'; define its anchor above",
    ),
    "an alias before its anchor": ("a: *b\nc: &b 1\n", 1, "undefined alias 'b'"),
    "an anchor inside itself": (
        "a: &a [*a]\n",
        1,
        "must be nested at most 64 levels deep",
    ),
    "a merge of itself": (
        "a: &a {<<: *a}\n",
        None,
        "must be nested at most 64 levels deep",
    ),
    "a billion laughs": (LAUGHS, None, "expands to more than 100000 values"),
    "lists in lists": (f"a: {'[' * 80}{']' * 80}\n", 1, "must be nested at most"),
    "mappings in mappings": (
        "".join(" " * i + "a:\n" for i in range(80)),
        66,
        "nested",
    ),
    "a thousand brackets": (
        f"a: {'[' * 1_000}\n",
        None,
        "must be nested at most 64 levels deep",
    ),
    "six megabytes": (f"a: '{'x' * 6_000_000}'\n", None, "must be at most 5 MB"),
    "a tag of Python's": (
        "a: !!python/object:os.x y\n",
        1,
        "python/object:os.x is not",
    ),
    "a call of Python's": (
        "a: !!python/object/apply:os.system [ls]\n",
        1,
        "the tag tag:yaml.org,2002:python/object/apply:os.system is not supported",
    ),
    "a tag of one's own": ("a: !secret x\n", 1, "the tag !secret is not supported"),
    "a tag on a mapping": ("a: !secret {b: 1}\n", 1, "the tag !secret is not"),
    "a tag on a list": ("a: !secret [b]\n", 1, "the tag !secret is not supported"),
    "a tag that hides an escape": ("a: !<\\e> x\n", 1, "invalid YAML"),
    "a set": ("a: !!set {b}\n", 1, "tag:yaml.org,2002:set is not supported"),
    "bytes": ("a: !!binary aGk=\n", 1, "tag:yaml.org,2002:binary is not supported"),
    "text tagged as a list": ("a: !!seq x\n", 1, "2002:seq is not supported"),
    "a list tagged as text": ("a: !!str [x]\n", 1, "2002:str is not supported"),
    "a word tagged as a number": ("a: !!int x\n", 1, "must be an integer, not x"),
    "a word tagged as a fraction": ("a: !!float x\n", 1, "must be a finite number"),
    "a word tagged as true": ("a: !!bool yes\n", 1, "not a valid !!bool: yes"),
    "a word tagged as nothing": ("a: !!null x\n", 1, "not a valid !!null: x"),
    "not a number": ("a: .nan\n", 1, "must be a finite number, not .nan"),
    "infinity": ("a: -.inf\n", 1, "must be a finite number, not -.inf"),
    "a number beyond all": ("a: 1e999\n", 1, "must be a finite number, not 1e999"),
    "a number of 5000 digits": (f"a: {'9' * 5000}\n", 1, "must be an integer"),
    "a binary number": ("a: 0b11\n", 1, "must be an integer, not 0b11"),
    "a key given twice": ("a: 1\nb: 2\na: 3\n", 3, "a: duplicate key (lines 1 and 3)"),
    "a key given twice in a line": ("a: {b: 1, b: 2}\n", 1, "b: duplicate key"),
    "a key that is a number, twice": ("a: {1: x, '1': y}\n", 1, "1: duplicate key"),
    "two merges": ("a:\n  <<: {b: 1}\n  <<: {c: 1}\n", 3, "<<: duplicate key"),
    "a merge of text": ("a: {<<: b}\n", 1, "'<<' can only merge mappings"),
    "a merge of a list of text": ("a:\n  <<: [b]\n", 2, "'<<' can only merge mappings"),
    "a mapping as a key": (
        "? {a: 1}\n: b\n",
        1,
        "a key must be a string, not a list or a mapping",
    ),
    "a list as a key": (
        "? [a]\n: b\n",
        1,
        "a key must be a string, not a list or a mapping",
    ),
}
FILES = {"stacks/Pulumi.local.yaml": ["config"], "serve.yaml": ["deploy"]}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", TEXTS)
def test_text_that_is_no_yaml_is_one_error_with_its_line(project, name, file):
    text, line, expected = TEXTS[name]
    project.write(**{file: text})
    errors = project.refused(*FILES[file])
    assert len(errors) == 1
    place = f"{file}:{line}: " if line else file
    assert errors[0].startswith(place)
    assert expected in errors[0]


def test_every_key_that_is_given_twice_is_told_at_once(project):
    project.write(**{"serve.yaml": "a: {b: 1, b: 2}\nc: 1\nc: 2\na: 1\n"})
    assert project.refused("deploy") == [
        "serve.yaml:1: b: duplicate key",
        "serve.yaml:3: c: duplicate key (lines 2 and 3)",
        "serve.yaml:4: a: duplicate key (lines 1 and 4)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffconfig: {raylift:target: local}\n",
        "config:\r\n  raylift:target: local\r\n",
        "config:\r  raylift:target: local\r",
        "---\nconfig: {raylift:target: local}\n...\n",
        "%YAML 1.2\n---\nconfig: {raylift:target: local}\n",
        "config: {raylift:target: !!str local}\n",
        "config: !!map {raylift:target: local}\n",
        "config:\n  a:x: &x 1\n  a:y: &x 2\n  raylift:target: local\n",
        "config:\n  <<: [{raylift:target: aws}, {}]\n  raylift:target: local\n",
        '"config": {"raylift:target": "local"}\n',
    ],
    ids=[
        "a byte order mark", "CRLF", "CR", "both markers", "a version", "a tag of text",
        "a tag of mapping", "an anchor used again", "a merge overridden", "JSON",
    ],
)  # fmt: skip
def test_odd_yaml_that_says_what_is_meant_is_taken_without_a_word(project, text):
    result = project.write(**{"stacks/Pulumi.local.yaml": text}).run("config")
    assert (result.code, result.errors, result.hints) == (0, [], [])
    assert "raylift:target: local" in result.stdout
