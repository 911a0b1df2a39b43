"""GitHub's published descriptions, from npm packages that are made from them. Fetched once, by the npm client."""

import functools
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import msgspec
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

OPENAPI = ("@octokit/openapi", "23.0.2", "generated/api.github.com.json")
GRAPHQL = ("@octokit/graphql-schema", "15.26.1", "schema.graphql")
ROOT = "urn:github"
# Properties that GitHub sends without describing them.
UNDESCRIBED = {"can_admins_bypass", "custom_branch_policies", "protected_branches"}


def published(package: tuple[str, str, str]) -> bytes:
    """A file of an npm package. Skips the test where npm is missing."""
    name, version, path = package
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = base / "cicd-tests" / f"{name.rpartition('/')[2]}-{version}" / Path(path).name
    if not kept.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is missing, and GitHub's description comes by it")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            command = ["npm", "pack", "--silent", f"{name}@{version}"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                file = archive.extractfile(f"package/{path}")
                assert file is not None
                (Path(folder) / "file").write_bytes(file.read())
            (Path(folder) / "file").replace(kept)
    return kept.read_bytes()


def _nullable(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(schema, list):
        return [_nullable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _nullable(value) for key, value in schema.items() if key not in ("example", "examples")}
    if made.pop("nullable", None) is True:
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
        if isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
        else:
            made = {"anyOf": [made, {"type": "null"}]}
    return made


class Description:
    """GitHub's OpenAPI description."""

    def __init__(self, document: dict[str, Any]) -> None:
        components = document["components"]
        for part in ("schemas", "responses", "parameters"):
            components[part] = _nullable(components[part])
        self.paths: dict[str, Any] = document["paths"]
        self._document = document
        resource: Any = Resource.from_contents(document, default_specification=DRAFT202012)
        self._registry: Any = Registry().with_resource(ROOT, resource)
        self._converted: set[str] = set()

    def operation(self, method: str, template: str) -> dict[str, Any]:
        """An operation; KeyError if GitHub has none such."""
        if template not in self._converted:
            self.paths[template] = _nullable(self.paths[template])
            self._converted.add(template)
        found: dict[str, Any] = self.paths[template][method.lower()]
        return found

    def _follow(self, node: Any) -> Any:
        while "$ref" in node:
            part: Any = self._document
            for step in node["$ref"].removeprefix("#/").split("/"):
                part = part[step.replace("~1", "/")]
            node = part
        return node

    def check(self, value: Any, schema: dict[str, Any]) -> None:
        """Raises jsonschema.ValidationError."""
        rooted = msgspec.json.decode(msgspec.json.encode(schema).replace(b'"#/', f'"{ROOT}#/'.encode()))
        jsonschema.Draft202012Validator(rooted, registry=self._registry).validate(value)

    def check_request(self, method: str, template: str, target: str, body: Any) -> None:
        """That GitHub would take the body, and knows the parameters of the query."""
        operation = self.operation(method, template)
        content = self._follow(operation.get("requestBody", {})).get("content", {}).get("application/json")
        if content and body is not None:
            self.check(body, content["schema"])
        given = {name for name, _ in parse_qsl(urlsplit(target).query)}
        parameters = [self._follow(parameter) for parameter in operation.get("parameters", [])]
        known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        assert given <= known, f"GitHub knows no {given - known} of {method} {template}"

    def check_response(self, method: str, template: str, status: int, body: Any) -> None:
        """That GitHub could have answered so. Errors that it does not describe have the shape of its basic error."""
        responses = self.operation(method, template)["responses"]
        if str(status) not in responses:
            assert status >= 400, f"{method} {template}: GitHub describes no {status}"
            self.check(body, {"$ref": "#/components/schemas/basic-error"})
            return
        content = self._follow(responses[str(status)]).get("content", {}).get("application/json")
        if content is None:
            assert status >= 400 or body is None, f"{method} {template}: {status} has no body on GitHub"
            return
        schema = content["schema"]
        if status >= 400 and "oneOf" in schema:  # GitHub's kinds of errors overlap
            schema = {"anyOf": schema["oneOf"]}
        self.check(body, schema)
        if status < 400:
            self._check_names(body, content["schema"], template)

    def _check_names(self, body: Any, schema: dict[str, Any], where: str) -> None:
        """That we send no property that GitHub does not have."""
        schema = self._follow(schema)
        if isinstance(body, list) and "items" in schema:
            for item in body:
                self._check_names(item, schema["items"], where)
        elif isinstance(body, dict) and "properties" in schema and schema.get("additionalProperties") is not True:
            unknown = body.keys() - schema["properties"].keys() - UNDESCRIBED
            assert not unknown, f"{where}: GitHub has no {unknown}"
            for name, value in body.items():
                if name in schema["properties"]:
                    self._check_names(value, schema["properties"][name], f"{where} {name}")


@functools.cache
def description() -> Description:
    """GitHub's description, read once in a process (about a second)."""
    return Description(msgspec.json.decode(published(OPENAPI)))


@functools.cache
def template_of(method: str, path: str) -> str | None:
    """The template of GitHub's that a path is of; None if it has none. Of several the most literal one."""
    best: tuple[int, str] | None = None
    for template, operations in description().paths.items():
        if method.lower() in operations and "..." not in template and _pattern(template).fullmatch(path):
            candidate = (len(re.sub(r"{[^}]+}", "", template)), template)
            best = max(best, candidate) if best else candidate
    return best[1] if best else None


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"({[^}]+})", template)
    deep = {"{ref}", "{path}", "{basehead}", "{branch}"}
    made = ["(.+)" if part in deep else "([^/]+)" if part.startswith("{") else re.escape(part) for part in parts]
    return re.compile("".join(made))
