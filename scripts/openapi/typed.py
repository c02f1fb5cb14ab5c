"""typed.py OPENAPI PYTHON_CLIENT TYPESCRIPT: fails if a generated client lacks an operation or the type of an answer.

Only the values that users put in freely may have any fields.
"""

import json
import re
import sys
from pathlib import Path

METHODS = {"get", "put", "post", "delete", "patch"}
# Objects whose fields the server does not know, by the name of the field or the schema.
FREE = {"DataToTry.data", "BatchFile.metadata", "Event.data", "Image.metadata", "ImageChange.metadata", "JsonSchema",
        "NewEvent.data", "NewImage.metadata", "OpenApiDocument", "SqlReport.rows"}


def faults_of_python(document, client):
    """Yields each operation without a module, and each answer in JSON that its module does not read into a type."""
    for item in document["paths"].values():
        for operation in (item[method] for method in METHODS & item.keys()):
            name = operation["operationId"]
            module = client / "api" / operation["tags"][0].replace(" ", "_") / f"{name}.py"
            if not module.exists():
                yield f"the Python client has no {name}"
                continue
            text = module.read_text()
            for status, answer in operation["responses"].items():
                if not any(kind.endswith("json") for kind in answer.get("content", {})):
                    continue
                read = re.search(rf"status_code == {status}:\n(.*?)return", text, re.DOTALL)
                if read is None or "cast(Any" in read[1] or re.search(r"= response\.json\(\)\n", read[1]):
                    yield f"the answer {status} of {name} has no type in Python"


def free_objects(schema, path):
    """Yields where a schema takes any fields."""
    if not isinstance(schema, dict):
        return
    if schema.get("additionalProperties") is True or schema == {}:
        yield path
    for name, part in schema.get("properties", {}).items():
        yield from free_objects(part, f"{path}.{name}")
    for part in [schema.get("items"), schema.get("additionalProperties"), *schema.get("prefixItems", [])]:
        yield from free_objects(part, path)
    for part in (part for key in ("allOf", "oneOf", "anyOf") for part in schema.get(key, [])):
        yield from free_objects(part, path)


def faults_of_typescript(document, types):
    """Yields what is `any`, and what is `unknown` beside objects that may have any fields."""
    schemas = types.split("export type $defs")[0].split("export interface components")[1].split("responses: ")[0]
    code = re.sub(r"/\*.*?\*/", "", schemas, flags=re.DOTALL)
    if re.search(r"\bany\b", code):
        yield "a type in TypeScript is any"
    stated = [path for name, schema in document["components"]["schemas"].items() for path in free_objects(schema, name)]
    unexpected = set(stated) ^ FREE
    if unexpected:
        yield f"these may have any fields, or may not any more: {sorted(unexpected)}"
    if re.search(r"\bunknown\b", re.sub(r"\[key: string\]: unknown", "", code)):
        yield "a type in TypeScript is unknown"


def main():
    """Runs the checks."""
    document = json.loads(Path(sys.argv[1]).read_text())
    faults = [*faults_of_python(document, Path(sys.argv[2])), *faults_of_typescript(document, Path(sys.argv[3]).read_text())]
    print("\n".join(faults) or f"{len(document['paths'])} paths: both clients compile, and every answer has a type")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
