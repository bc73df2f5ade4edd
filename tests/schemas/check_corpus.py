#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs corpus/{valid,invalid} through the C code (check_document) and through the JSON Schema files, and demands equal
verdicts. corpus/invalid.tsv names the error code and path expected of the C code for each invalid file, and, where a
schema cannot express a rule, why; such a file must then pass the schema, so that the list stays honest."""
import json
import pathlib
import subprocess
import sys

import jsonschema

HERE = pathlib.Path(__file__).resolve().parent
SCHEMAS = HERE.parent.parent / "schemas"
CHECKER = sys.argv[1]


def validators():
    docs = {p.name: json.loads(p.read_text()) for p in SCHEMAS.glob("*.schema.json")}
    store = {doc["$id"]: doc for doc in docs.values()}
    out = {}
    for name, doc in docs.items():
        jsonschema.Draft202012Validator.check_schema(doc)
        resolver = jsonschema.RefResolver(doc["$id"], doc, store=store)
        out[name.split(".")[0]] = jsonschema.Draft202012Validator(doc, resolver=resolver)
    return out


def schema_verdict(validator, path):
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return "refused"
    error = next(validator.iter_errors(document), None)
    return "ok" if error is None else "refused"


def c_verdicts(paths):
    run = subprocess.run([CHECKER, *map(str, paths)], check=True, capture_output=True, text=True)
    return {line.split("\t")[0]: line.split("\t")[1:] for line in run.stdout.splitlines()}


def expectations():
    rows = {}
    for line in (HERE / "corpus/invalid.tsv").read_text().splitlines():
        if not line.startswith("#"):
            name, code, path, schema = line.split("\t")
            rows[name] = (code, path, schema)
    return rows


def main():
    by_kind = validators()
    valid = sorted((HERE / "corpus/valid").glob("*.json"))
    invalid = sorted((HERE / "corpus/invalid").glob("*.json"))
    wanted = expectations()
    got = c_verdicts(valid + invalid)
    wrong = [f"{n}: in invalid.tsv, but there is no such file" for n in wanted if n not in got]
    for path in valid + invalid:
        name, c = path.name, got[path.name]
        schema = schema_verdict(by_kind[name.split("-")[0]], path)
        if path.parent.name == "valid":
            want_c, want_schema = ["ok"], "ok"
        elif name not in wanted:
            wrong.append(f"{name}: is not in invalid.tsv; the C code says {c}, the schema {schema}")
            continue
        else:
            code, at, reason = wanted[name]
            want_c, want_schema = [code, at], "refused" if reason == "refused" else "ok"
        if c[: len(want_c)] != want_c:
            wrong.append(f"{name}: the C code says {c}, wanted {want_c}")
        if schema != want_schema:
            wrong.append(f"{name}: the schema says {schema}, wanted {want_schema}")
    print(*wrong, sep="\n")
    print(f"{len(valid)} valid and {len(invalid)} invalid documents, {len(wrong)} wrong verdicts")
    return 1 if wrong or not valid or not invalid else 0


sys.exit(main())
