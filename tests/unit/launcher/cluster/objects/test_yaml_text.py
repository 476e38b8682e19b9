"""Manifests as YAML: what any reader of YAML takes for a text is one, and what is long is readable."""

import json

import pytest
import yaml

from launcher.cluster.objects.yaml_text import manifests_yaml

# Booleans, nulls, numbers and dates of YAML 1.1 and 1.2 and of kubectl's reader
OTHER = ["y", "Y", "n", "yes", "No", "on", "OFF", "true", "null", "~", "1e3", "0o17", "0x1f", "017", "1_000"]
DATES = ["12:30:45", "2024-01-01", ".inf", ".nan", "-1", "+5", "1.5", "=", "<<"]
# What begins or ends something in YAML
MARKS = ["", "- a", "a: b", "a #b", "*a", "&a", "!a", "%a", "@a", " a", "a ", "{a}", "[a]", "'a'", '"a"', "a:", "? a"]


@pytest.mark.parametrize("text", [*OTHER, *DATES, *MARKS])
def test_a_text_that_some_reader_takes_for_something_else_has_quotes(text):
    written = manifests_yaml([{"value": text, text: "value"}])
    assert written.splitlines()[1] == f"value: {json.dumps(text)}"
    assert list(yaml.safe_load_all(written)) == [{"value": text, text: "value"}]


LINES = ["a\x85b\n", "\n\x85", "\n\u2028", "a\n\u2029b", "a\n\n", " a\nb", "a \n b\n", "\ta\n", "a\r\nb"]


@pytest.mark.parametrize("text", LINES)
def test_a_text_of_several_lines_keeps_every_character(text):
    assert list(yaml.safe_load_all(manifests_yaml([{"a": [{"b": text}]}]))) == [{"a": [{"b": text}]}]


def test_a_manifest_is_written_as_people_write_it():
    container = {"name": "server", "args": ["--index", "1"], "ports": [{"containerPort": 7070}], "tty": False}
    job = {"kind": "ConfigMap", "data": {"job.yaml": "name: a\ntask: train\n", "version": "1.20", "a": "x y " * 40}}
    assert manifests_yaml([job, container]) == (
        "---\n"
        "kind: ConfigMap\n"
        "data:\n"
        "  job.yaml: |\n"
        "    name: a\n"
        "    task: train\n"
        '  version: "1.20"\n'
        f'  "a": "{"x y " * 40}"\n'
        "---\n"
        "name: server\n"
        "args:\n"
        '  - "--index"\n'
        '  - "1"\n'
        "ports:\n"
        "  - containerPort: 7070\n"
        "tty: false\n"
    )


def test_what_is_in_two_places_is_written_twice():
    labels = {"app": "esmm"}
    assert "&" not in manifests_yaml([{"a": labels, "b": labels}, {"c": labels}])
