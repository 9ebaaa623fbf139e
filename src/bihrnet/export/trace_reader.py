"""The state of reading a traced network: the layers so far, and helpers to add one."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import fx

from bihrnet.errors import BihrnetError
from bihrnet.export.ir import AnyLayer


class NodeReader:
    """Collects the layers of a traced network, node by node.

    Attributes:
        traced: the network, with the shape of every node's output.
        layers: those read so far.
        indices: for each node read so far, the index of the layer whose output is the node's.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.layers: list[AnyLayer] = []
        self.indices: dict[fx.Node, int] = {}

    def emit(
        self, node: fx.Node, kind: type[Any], inputs: tuple[int, ...], /, **fields: Any
    ) -> None:
        """Append a layer; its output is the node's."""
        self.indices[node] = len(self.layers)
        channels = output_shape(node)[1]
        self.layers.append(kind(name=_name(node), inputs=inputs, channels=channels, **fields))

    def emit_unary(self, node: fx.Node, kind: type[Any], /, **fields: Any) -> None:
        """Append a layer that reads the node's first argument."""
        self.emit(node, kind, (self.input(node),), **fields)

    def forward(self, node: fx.Node) -> None:
        """Read a node that does nothing: its value is that of its first argument."""
        self.indices[node] = self.input(node)

    def input(self, node: fx.Node, position: int = 0) -> int:
        """Index of the layer that a positional argument of the node comes from."""
        return self.indices[node.args[position]]  # type: ignore[index]

    def arguments(self, node: fx.Node, *names: str) -> dict[str, Any]:
        """Arguments of a call by name, whether given by position or by keyword.

        Raises:
            BihrnetError: the call has other arguments than these.
        """
        if len(node.args) > len(names) or not set(node.kwargs) <= set(names):
            self.refuse(node, f"with arguments other than {', '.join(names)}")
        return {**dict(zip(names, node.args, strict=False)), **node.kwargs}

    def operands(self, node: fx.Node) -> tuple[Any, Any]:
        """The two operands of a commutative operator; a number, if there is one, comes second."""
        first, second = node.args
        if isinstance(first, int | float):
            first, second = second, first
        if not isinstance(first, fx.Node) or not isinstance(second, fx.Node | int | float):
            self.refuse(node, "with an operand that is neither a value nor a number")
        return first, second

    def is_last(self, value: Any) -> bool:
        """Whether a node's value is the output of the last layer."""
        return self.indices.get(value) == len(self.layers) - 1

    def refuse(self, node: fx.Node, reason: str) -> NoReturn:
        """Raise the error for a node that cannot be exported."""
        raise BihrnetError(
            f"layer {_name(node)} ({reason}) is not supported by bihrnet's exporters"
        )


def output_shape(node: Any) -> tuple[int, ...]:
    """Shape of a node's output, as `bihrnet.export.trace.trace` has recorded it."""
    return tuple(node.meta["tensor_meta"].shape)


def has_one_pixel(node: Any) -> bool:
    """Whether a node's output is (N, C) or (N, C, 1, 1)."""
    return all(side == 1 for side in output_shape(node)[2:])


def _name(node: fx.Node) -> str:
    """Path of the node's module; for functions, that of the innermost module and the function."""
    if node.op in ("call_module", "get_attr"):
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    owner = next(reversed(stack.values()))[0] if stack else ""
    return f"{owner}.{node.name}" if owner else node.name
