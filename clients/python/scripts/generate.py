"""Makes what is not written by hand: the blocking client of the asynchronous one, and the models of OpenAPI.

generate.py                       write src/eyeline/_sync from src/eyeline/_async
generate.py --openapi FILE        write src/eyeline/models.py from the OpenAPI document too
generate.py --check               write nothing; fail if _sync is out of date
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import unasync

SOURCE = Path(__file__).resolve().parent.parent / "src" / "eyeline"
BY_HAND = "_runtime.py"
NAMES = {
    "AsyncAnalytics": "Analytics",
    "AsyncApplications": "Applications",
    "AsyncClient": "Client",
    "AsyncEventTypes": "EventTypes",
    "AsyncEvents": "Events",
    "AsyncEyeline": "Eyeline",
    "AsyncGalleries": "Galleries",
    "AsyncHttp": "Http",
    "AsyncImages": "Images",
    "AsyncItems": "Items",
    "AsyncIterator": "Iterator",
    "AsyncProjects": "Projects",
    "AsyncResource": "Resource",
    "AsyncServer": "Server",
    "AsyncUploadedImage": "UploadedImage",
    "AsyncUploads": "Uploads",
    "AsyncWaiter": "Waiter",
    "AbstractAsyncContextManager": "AbstractContextManager",
    "_async": "_sync",
    "aclose": "close",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
}
# In documentation, and in annotations that are no code of their own.
TEXTS = {
    "``(await client.images.upload(…)).wait()``": "``client.images.upload(…).wait()``",
    "Awaitable[P]": "P",
}


def make_sync(folder: Path) -> None:
    """Writes the blocking client into a folder."""
    rule = unasync.Rule(str(SOURCE / "_async"), str(folder), additional_replacements=NAMES)
    for path in sorted((SOURCE / "_async").glob("*.py")):
        if path.name == BY_HAND:
            continue
        rule._unasync_file(str(path))
        made = folder / path.name
        text = made.read_text()
        for before, after in TEXTS.items():
            text = text.replace(before, after)
        if path.name == "__init__.py":
            text = '"""The blocking client, made from ``_async`` by ``scripts/generate.py``: change that folder."""\n'
        else:
            text = re.sub(
                r'^("""[^"]+""")\n',
                r"\1\n\n# Made from ``_async`` by scripts/generate.py: change that file.\n",
                text,
                count=1,
            )
        made.write_text(text)
    tidy(folder)


def tidy(*paths: Path) -> None:
    """Removes imports that are not needed any more, sorts the others, and formats."""
    config = str(SOURCE.parent.parent / "pyproject.toml")
    ruff = [sys.executable, "-m", "ruff"]
    names = [str(path) for path in paths]
    fix = ["check", "--config", config, "--select", "F401,I", "--fix", "--quiet"]
    subprocess.run([*ruff, *fix, *names], check=True)
    subprocess.run([*ruff, "format", "--config", config, "--quiet", *names], check=True)


def flat(schema: Any, schemas: dict[str, Any]) -> dict[str, Any] | None:
    """One object with all fields that a schema of several parts may have; ``None`` if it is none of objects."""
    if "$ref" in schema:
        return flat(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "allOf" in schema:
        parts = [flat(part, schemas) for part in schema["allOf"]]
        if any(part is None for part in parts):
            return None
        required = {name for part in parts if part for name in part["required"]}
        whole = {"properties": {name: field for part in parts if part for name, field in part["properties"].items()}}
        return {"type": "object", **whole, "required": sorted(required), "description": schema.get("description", "")}
    if "oneOf" in schema:
        options = [option for option in schema["oneOf"] if option.get("type") != "null"]
        known = [part for part in (flat(option, schemas) for option in options) if part is not None]
        if len(known) < len(options) or not known:
            return None
        required = set.intersection(*(set(part["required"]) for part in known))
        # An object that may be absent as a whole has no field that is always there.
        required = required if len(options) == len(schema["oneOf"]) else set()
        properties = {name: field for part in known for name, field in part["properties"].items()}
        return {"type": "object", "properties": properties, "required": sorted(required)}
    return {"required": [], **schema} if schema.get("type") == "object" and "properties" in schema else None


def make_models(document: dict[str, Any], target: Path) -> None:
    """Writes a dataclass for each schema that an answer or a body has."""
    schemas = document["components"]["schemas"]
    split = {name: flat(schema, schemas) for name, schema in schemas.items() if "allOf" in schema or "oneOf" in schema}
    schemas = {**schemas, **{name: whole for name, whole in split.items() if whole is not None}}
    document = {**document, "paths": {}, "components": {"schemas": schemas}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        command = [
            *(sys.executable, "-m", "datamodel_code_generator"),
            *("--input", file.name, "--input-file-type", "openapi", "--output", str(target)),
            *("--output-model-type", "dataclasses.dataclass", "--target-python-version", "3.10"),
            *("--openapi-scopes", "schemas"),
            # Ids are text everywhere, as they are in JSON; times are datetimes.
            *("--type-mappings", "uuid=string", "--output-datetime-class", "datetime"),
            *("--enum-field-as-literal", "all", "--use-standard-collections", "--use-union-operator"),
            *(
                "--use-schema-description",
                "--use-field-description",
                "--keyword-only",
                "--disable-timestamp",
                "--use-single-line-docstring",
            ),
            *("--collapse-root-models", "--use-annotated", "--formatters", "builtin"),
            *(
                "--custom-file-header",
                '"""What the API answers, made of its OpenAPI document by scripts/generate.py."""',
            ),
        ]
        subprocess.run(command, check=True)
    tidy(target)


def differences(made: Path, kept: Path) -> list[str]:
    """The files of two folders that differ."""
    names = {path.name for folder in (made, kept) for path in folder.glob("*.py")} - {BY_HAND}

    def text(path: Path) -> str | None:
        return path.read_text() if path.exists() else None

    return sorted(name for name in names if text(made / name) != text(kept / name))


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--openapi", type=Path, metavar="FILE", help="the OpenAPI document, as the server serves it")
    parser.add_argument("--check", action="store_true", help="fail if the blocking client is out of date")
    options = parser.parse_args()
    if options.check:
        with tempfile.TemporaryDirectory() as folder:
            make_sync(Path(folder))
            stale = differences(Path(folder), SOURCE / "_sync")
        for name in stale:
            print(f"src/eyeline/_sync/{name} is out of date: run scripts/generate.py", file=sys.stderr)
        return 1 if stale else 0
    for path in (SOURCE / "_sync").glob("*.py"):
        if path.name != BY_HAND:
            path.unlink()
    shutil.rmtree(SOURCE / "_sync" / "__pycache__", ignore_errors=True)
    make_sync(SOURCE / "_sync")
    if options.openapi:
        make_models(json.loads(options.openapi.read_text()), SOURCE / "models.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
