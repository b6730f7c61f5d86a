"""The API's own description (OpenAPI) as values for a page: routes by group, with examples."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.callers import WHO
from api.openapi import ANYWHERE
from api.problems import MEDIA_TYPE, STATUS_OF_CODE, title_of

ORDER: Final = ("people", "market", "accounts", "readings", "charging", "grid")  # Then the others.
DEPTH_MAX: Final = 8  # Of an example, and of the fields of a body; schemas may hold themselves.
FIRST_ERROR: Final = 400
NOT_SHOWN: Final = frozenset({"accept"})  # A header that every client sends.
_REFERENCE: Final = "#/components/schemas/"
_SENTENCE = re.compile(r"(.+?[.])(?:\s|$)", re.DOTALL)
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A parameter, or a field of a body."""

    name: str
    place: str  # path, query, header or body.
    kind: str
    is_required: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of a request that did what it should."""

    status: str
    says: str
    media_type: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A code that a request may fail with."""

    code: str
    status: int
    means: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route."""

    anchor: str
    method: str
    path: str
    who: str
    summary: str
    says: str  # What follows the first sentence.
    fields: tuple[Field, ...]
    body: str  # An example; empty where none is sent.
    answers: tuple[Answer, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Routes about one thing."""

    tag: str
    operations: tuple[Operation, ...]


def groups_of(document: Json) -> tuple[Group, ...]:
    """All routes of a description, in its order."""
    reader = _Reader(document)
    found: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            made = reader.operation(method.upper(), path, operation)
            found.setdefault(operation["tags"][0], []).append(made)
    tags = sorted(found, key=lambda tag: ORDER.index(tag) if tag in ORDER else len(ORDER))
    return tuple(Group(tag=tag, operations=tuple(found[tag])) for tag in tags)


def failures_anywhere() -> tuple[Failure, ...]:
    """What may happen to any request."""
    return tuple(
        Failure(code=kind.code, status=STATUS_OF_CODE[kind.code], means=title_of(kind))
        for kind in ANYWHERE
    )


class _Reader:
    def __init__(self, document: Json) -> None:
        self._schemas: Json = document.get("components", {}).get("schemas", {})
        self._anywhere = {kind.code for kind in ANYWHERE}

    def operation(self, method: str, path: str, operation: Json) -> Operation:
        summary, rest = _first_sentence(operation.get("description", operation["summary"]))
        content = operation.get("requestBody", {}).get("content", {})
        media: Json = next(iter(content.values()), {})
        schema = media.get("schema", {})
        return Operation(
            anchor=re.sub(r"[^a-z0-9]+", "-", f"{method}{path}".lower()).strip("-"),
            method=method,
            path=path,
            who=operation.get(WHO, ""),
            summary=summary,
            says=rest,
            fields=(*self._parameters(operation), *self._body_fields(schema)),
            body=_text(self._example(media, schema)) if content else "",
            answers=tuple(self._answers(operation["responses"])),
            failures=self._failures(operation["responses"]),
        )

    def _parameters(self, operation: Json) -> Iterator[Field]:
        for each in operation.get("parameters", ()):
            if each["name"] not in NOT_SHOWN:
                schema = each.get("schema", {})
                yield Field(
                    name=each["name"],
                    place=each["in"],
                    kind=self._kind(schema),
                    is_required=each.get("required", False),
                    says=each.get("description") or schema.get("description", ""),
                )

    def _body_fields(self, schema: Json, prefix: str = "", depth: int = 0) -> Iterator[Field]:
        schema = self._resolved(schema)
        required = schema.get("required", ())
        for name, each in schema.get("properties", {}).items():
            yield Field(
                name=prefix + name,
                place="body",
                kind=self._kind(each),
                is_required=name in required,
                says=each.get("description", ""),
            )
            inner = self._resolved(each)
            if inner.get("type") == "array":
                inner = self._resolved(inner.get("items", {}))
            if depth < DEPTH_MAX:
                yield from self._body_fields(inner, f"{prefix}{name}.", depth + 1)

    def _answers(self, responses: Json) -> Iterator[Answer]:
        for status, response in sorted(responses.items()):
            content: Mapping[str, Json] = response.get("content", {})
            if int(status) >= FIRST_ERROR and set(content) <= {MEDIA_TYPE}:
                continue
            media_type = next((each for each in content if each != MEDIA_TYPE), "")
            media = content.get(media_type, {})
            example = self._example(media, media.get("schema", {})) if media else None
            says = response.get("description", "")
            yield Answer(
                status=status,
                says="" if says == "Successful Response" else says,
                media_type=media_type,
                example="" if example is None else _text(example),
            )

    def _failures(self, responses: Json) -> tuple[Failure, ...]:
        return tuple(
            Failure(code=code, status=int(status), means=example["value"]["title"])
            for status, response in sorted(responses.items())
            for code, example in response.get("content", {})
            .get(MEDIA_TYPE, {})
            .get("examples", {})
            .items()
            if code not in self._anywhere
        )

    def _resolved(self, schema: Json) -> Json:
        """The schema itself: not a reference to it, nor a choice between it and nothing."""
        while True:
            if "$ref" in schema:
                schema = self._schemas[schema["$ref"].removeprefix(_REFERENCE)]
            elif some := [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]:
                if len(some) > 1 or "examples" in schema:
                    return schema
                schema = some[0]
            else:
                return schema

    def _kind(self, schema: Json) -> str:
        """A type in a few words."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return " or ".join(dict.fromkeys(self._kind(each) for each in schema["anyOf"]))
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return " or ".join(json.dumps(each) for each in schema["enum"])
        if schema.get("type") == "array":
            return f"list of {self._kind(schema.get('items', {}))}"
        return str(schema.get("format") or schema.get("type") or "anything")

    def _example(self, media: Json, schema: Json, depth: int = 0) -> Any:
        """The example that is given, else one that is made of the examples of its parts."""
        for holder in (media, schema):
            if "example" in holder:
                return holder["example"]
            given = holder.get("examples")
            if isinstance(given, Mapping) and given:
                return next(iter(given.values()))["value"]
            if isinstance(given, Sequence) and given:
                return given[0]
        schema = self._resolved(schema)
        if "examples" in schema and not media:
            return schema["examples"][0]
        return self._made(schema, depth)

    def _made(self, schema: Json, depth: int) -> Any:
        if "anyOf" in schema:
            return self._example({}, schema["anyOf"][0], depth)
        fixed = [schema[name] for name in ("const", "default") if name in schema]
        if fixed := fixed + schema.get("enum", []):
            return fixed[0]
        kind = schema.get("type")
        if kind == "object" and depth <= DEPTH_MAX:
            properties = schema.get("properties", {})
            return {name: self._example({}, each, depth + 1) for name, each in properties.items()}
        if kind == "array" and depth <= DEPTH_MAX:
            return [self._example({}, schema.get("items", {}), depth + 1)]
        if kind in {"integer", "number"}:
            return schema.get("minimum", 0)
        return {"boolean": False, "string": "…"}.get(str(kind))


def _first_sentence(text: str) -> tuple[str, str]:
    text = " ".join(text.split())
    found = _SENTENCE.match(text)
    return (text, "") if found is None else (found[1], text[found.end() :])


def _text(example: Any) -> str:
    if isinstance(example, str):
        return example
    return json.dumps(example, indent=2, ensure_ascii=False)
