"""The table of operations and the methods agree with the OpenAPI document of the server."""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import urllib.request
from functools import reduce
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from conftest import Server

from eyeline import AsyncEyeline, Eyeline
from eyeline._decode import json_name
from eyeline._operations import OPERATIONS, WITHOUT_METHOD

VERBS = ("get", "post", "put", "patch", "delete", "head", "options")


@pytest.fixture(scope="module")
def document(server: Server) -> Any:
    """What the server says of itself."""
    with urllib.request.urlopen(f"{server.url}/api/v1/openapi.json") as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def described(document: Any) -> dict[tuple[str, str], Any]:
    """The operations of the document by verb and path."""
    paths = document["paths"].items()
    return {(verb.upper(), path): item[verb] for path, item in paths for verb in VERBS if verb in item}


def test_every_operation_has_a_method(described: dict[tuple[str, str], Any]) -> None:
    assert len(described) > 60
    called = {(operation.verb, operation.path) for operation in OPERATIONS.values()}
    assert len(called) == len(OPERATIONS)
    missing = described.keys() - called - WITHOUT_METHOD.keys()
    assert not missing, f"operations of the server without a method: {sorted(missing)}"
    gone = called - described.keys()
    assert not gone, f"operations that the server does not have: {sorted(gone)}"


@pytest.mark.parametrize("client", [Eyeline, AsyncEyeline])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_method_calls_its_operation_and_takes_all_its_parameters(
    client: type[Any], name: str, document: Any, described: dict[tuple[str, str], Any]
) -> None:
    instance = client("http://127.0.0.1:9")
    method = reduce(getattr, OPERATIONS[name].method.split("."), instance)
    calls = [
        node.value
        for node in ast.walk(ast.parse(inspect.getsource(type(method.__self__))))
        if isinstance(node, ast.Constant)
    ]
    assert name in calls, f"{OPERATIONS[name].method} does not call {name}"
    if name == "create_events":
        return  # Takes events, whose fields are those of create_event.
    operation = described[OPERATIONS[name].verb, OPERATIONS[name].path]
    wanted = {parameter["name"] for parameter in operation.get("parameters") or [] if parameter["in"] != "header"}
    wanted -= {"application", "ticket"} - set(inspect.signature(method).parameters)
    wanted |= fields_of(document, operation)
    if operation.get("requestBody") and OPERATIONS[name].verb == "PATCH":
        wanted -= {"project_id"}  # What belongs to a project stays there.
    taken = {json_name(argument) for argument in inspect.signature(method).parameters}
    assert wanted <= taken, f"{OPERATIONS[name].method} lacks {sorted(wanted - taken)}"


def fields_of(document: Any, operation: Any) -> set[str]:
    """The fields of the body of an operation."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    options = schema.get("oneOf", [schema])
    found: set[str] = set()
    for option in options:
        while "$ref" in option:
            option = reduce(lambda part, key: part[key], option["$ref"].removeprefix("#/").split("/"), document)
        found |= option.get("properties", {}).keys()
    return found


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_both_clients_have_the_same_methods(name: str) -> None:
    blocking: Any
    asynchronous: Any
    blocking, asynchronous = (
        attrgetter(OPERATIONS[name].method)(client("http://127.0.0.1:9")) for client in (Eyeline, AsyncEyeline)
    )
    names = [list(inspect.signature(method).parameters) for method in (blocking, asynchronous)]
    assert names[0] == names[1]
    assert blocking.__doc__
    assert asynchronous.__doc__


def test_keys_are_sent_where_the_server_takes_them(described: dict[tuple[str, str], Any]) -> None:
    for name, operation in OPERATIONS.items():
        parameters = described[operation.verb, operation.path].get("parameters") or []
        takes_key = any(parameter["name"] == "Idempotency-Key" for parameter in parameters)
        # Events have ids of their own.
        if name not in ("create_event", "create_events"):
            assert operation.keyed or not takes_key, name


def samples(described: dict[tuple[str, str], Any]) -> dict[str, str]:
    """The examples in Python of the document, by operation."""
    return {
        operation["operationId"]: sample["source"]
        for operation in described.values()
        for sample in operation["x-codeSamples"]
        if sample["label"] == "Python"
    }


def test_the_examples_of_the_document_call_the_methods_of_this_client(described: dict[tuple[str, str], Any]) -> None:
    client = Eyeline("http://127.0.0.1:9")
    found = samples(described)
    assert found.keys() == OPERATIONS.keys()
    for name, source in found.items():
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        (call,) = [call for call in calls if ast.unparse(call.func).startswith("client.")]
        dotted = ast.unparse(call.func).removeprefix("client.")
        assert dotted == OPERATIONS[name].method
        arguments = {word.arg or "": None for word in call.keywords}
        inspect.signature(attrgetter(dotted)(client)).bind(*call.args, **arguments)


def test_the_examples_of_the_document_are_typed(described: dict[tuple[str, str], Any], tmp_path: Path) -> None:
    for name, source in samples(described).items():
        (tmp_path / f"{name}.py").write_text(source)
    environment = os.environ | {"MYPYPATH": str(Path(__file__).resolve().parent.parent / "src")}
    files = map(str, sorted(tmp_path.glob("*.py")))
    settings = Path(__file__).resolve().parent.parent / "pyproject.toml"
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), "--no-error-summary", *files]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout
