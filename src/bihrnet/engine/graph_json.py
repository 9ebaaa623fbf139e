"""Graphs as JSON objects: exactly the fields of `bihrnet.engine.graph`, strictly read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from bihrnet.engine.graph import OPS, STEPS, Graph, Op, Step, Tensor
from bihrnet.errors import BihrnetError

Record = TypeVar("Record")

_OP_NAMES = {kind: name for name, kind in OPS.items()}
_STEP_NAMES = {kind: name for name, kind in STEPS.items()}


def graph_to_json(graph: Graph) -> dict[str, Any]:
    """Plain objects for `json.dumps`; fields that have their default value are left out."""
    return {
        "input": graph.input,
        "output": graph.output,
        "tensors": [_plain(tensor) for tensor in graph.tensors],
        "ops": [{"op": _OP_NAMES[type(op)], **_plain(op)} for op in graph.ops],
    }


def graph_from_json(data: Any) -> Graph:
    """Inverse of `graph_to_json`. Checks names and kinds of fields, not what they mean together.

    Raises:
        BihrnetError: a field is missing, unknown or of the wrong kind, or an op is unknown.
    """
    known = {"input", "output", "tensors", "ops"}
    if not isinstance(data, Mapping) or set(data) != known:
        raise BihrnetError(f"the graph needs exactly the fields {sorted(known)}")
    tensors = _list(data["tensors"], "field 'tensors'")
    ops = _list(data["ops"], "field 'ops'")
    return Graph(
        tensors=tuple(_record(Tensor, tensor, f"tensor {n}") for n, tensor in enumerate(tensors)),
        ops=tuple(_op(op, f"op {n}") for n, op in enumerate(ops)),
        input=_scalar(str, data["input"], "field 'input'"),
        output=_scalar(str, data["output"], "field 'output'"),
    )


def _plain(record: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name == "steps":
            plain["steps"] = [{"step": _STEP_NAMES[type(step)], **_plain(step)} for step in value]
        elif value != field.default:
            plain[field.name] = list(value) if isinstance(value, tuple) else value
    return plain


def _op(data: Any, where: str) -> Op:
    name, rest = _tag(data, "op", where)
    if name not in OPS:
        raise BihrnetError(f"{where} is the unknown op {name[:80]!r}")
    return _record(OPS[name], rest, f"{where} ({name})")


def _step(data: Any, where: str) -> Step:
    name, rest = _tag(data, "step", where)
    if name not in STEPS:
        raise BihrnetError(f"{where} is the unknown step {name[:80]!r}")
    return _record(STEPS[name], rest, f"{where} ({name})")


def _tag(data: Any, key: str, where: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(data, Mapping) or not isinstance(data.get(key), str):
        raise BihrnetError(f"{where} is not an object with the field {key!r}")
    return data[key], {name: value for name, value in data.items() if name != key}


def _record(kind: type[Record], data: Any, where: str) -> Record:
    if not isinstance(data, Mapping):
        raise BihrnetError(f"{where} is not an object")
    hints, required = _fields(kind)  # type: ignore[arg-type]
    unknown, missing = set(data) - set(hints), required - set(data)
    if unknown:
        raise BihrnetError(f"{where} has the unknown field {min(unknown)[:80]!r}")
    if missing:
        raise BihrnetError(f"{where} lacks the field {min(missing)!r}")
    return kind(
        **{name: _value(hints[name], value, f"{where}, {name}") for name, value in data.items()}
    )


@cache
def _fields(kind: type[Any]) -> tuple[dict[str, Any], frozenset[str]]:
    required = frozenset(field.name for field in fields(kind) if field.default is MISSING)
    return get_type_hints(kind), required


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotated kind; the annotations of `graph` use only these forms."""
    if hint in (int, str, float):
        return _scalar(hint, value, where)
    if hint == str | None:
        return None if value is None else _scalar(str, value, where)
    if hint == tuple[int, int]:
        items = _list(value, where)
        if len(items) != 2:
            raise BihrnetError(f"{where} needs two numbers")
        return tuple(_scalar(int, item, where) for item in items)
    if hint == tuple[Step, ...]:
        items = _list(value, where)
        return tuple(_step(item, f"{where} {n}") for n, item in enumerate(items))
    choices = get_args(hint)  # what remains is a Literal
    if not isinstance(value, str) or value not in choices:
        raise BihrnetError(f"{where} is {str(value)[:80]!r}, not one of {', '.join(choices)}")
    return value


def _scalar(kind: type[Any], value: Any, where: str) -> Any:
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not kind:
        raise BihrnetError(f"{where} is {str(value)[:80]!r}, not of type {kind.__name__}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise BihrnetError(f"{where} is not a list")
    return value
