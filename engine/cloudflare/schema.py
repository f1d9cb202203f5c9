"""The plugin's Pulumi schema: its resources and functions with their properties, made from their tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.cloudflare import VERSION
from engine.cloudflare.configuration import ENVIRONMENT, SECRET_KEYS
from engine.cloudflare.fields import Field, Kind, Role, Table, inputs_of
from engine.cloudflare.functions import Function
from engine.cloudflare.resource import Resource

_TYPES = {
    Kind.STRING: "string",
    Kind.JSON: "string",
    Kind.NUMBER: "number",
    Kind.INTEGER: "integer",
    Kind.BOOLEAN: "boolean",
}


def schema(resources: Iterable[Resource], functions: Iterable[Function]) -> dict[str, Any]:
    """A package schema in Pulumi's form."""
    types: dict[str, Any] = {}
    config = {key: {"type": "string", "secret": key in SECRET_KEYS} for key in ENVIRONMENT}
    return {
        "name": "cloudflare",
        "version": VERSION,
        "config": {"variables": config},
        "provider": {"inputProperties": config, "properties": config},
        "resources": {resource.tokens[0]: _resource(resource, types) for resource in resources},
        "functions": {function.name: _function(function, types) for function in functions},
        "types": types,
    }


def _resource(resource: Resource, types: dict[str, Any]) -> dict[str, Any]:
    token = resource.tokens[0]
    inputs = inputs_of(resource.table)
    return {
        "properties": _properties(token, resource.table, types),
        "required": [field.name for field in resource.table if field.role is not Role.OPTIONAL],
        "inputProperties": _properties(token, inputs, types),
        "requiredInputs": _required(inputs),
        "aliases": [{"type": old} for old in resource.tokens[1:]],
    }


def _function(function: Function, types: dict[str, Any]) -> dict[str, Any]:
    outputs = {field.name: field for field in (*function.arguments, *function.results)}
    return {
        "inputs": {
            "properties": _properties(function.name, function.arguments, types),
            "required": _required(function.arguments),
        },
        "outputs": {"properties": _properties(f"{function.name}Result", tuple(outputs.values()), types)},
    }


def _required(table: Table) -> list[str]:
    return [field.name for field in table if field.role is Role.REQUIRED]


def _properties(owner: str, table: Table, types: dict[str, Any]) -> dict[str, Any]:
    return {field.name: _typed(owner, field, types) | ({"secret": True} if field.secret else {}) for field in table}


def _typed(owner: str, field: Field, types: dict[str, Any]) -> dict[str, Any]:
    if field.kind is Kind.SCALAR:
        return {"$ref": "pulumi.json#/Any"}
    if field.kind is Kind.OBJECT:
        return {"$ref": f"#/types/{_object(owner, field, types)}"}
    if field.kind is Kind.LIST:
        items = {"$ref": f"#/types/{_object(owner, field, types)}"} if field.of else {"type": "string"}
        return {"type": "array", "items": items}
    return {"type": _TYPES[field.kind]}


def _object(owner: str, field: Field, types: dict[str, Any]) -> str:
    package, _, name = owner.split(":")
    member = name + field.name[0].upper() + field.name[1:]
    token = f"{package}:index/{member[0].lower()}{member[1:]}:{member}"
    types[token] = {
        "type": "object",
        "properties": _properties(token, field.of, types),
        "required": _required(field.of),
    }
    return token
