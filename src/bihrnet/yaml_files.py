"""YAML of users: read within limits, with one sentence for every mistake.

Recipes, overrides of recipe keys, skeletons and model cards are read here and nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from bihrnet.errors import BihrnetError, quoted, shortened

#: Bytes of a file; the largest bundled recipe has 3 kB.
MAX_BYTES = 2**16
#: Sections and lists inside each other.
MAX_DEPTH = 32
#: Values and their characters after every alias is replaced by what it stands for.
MAX_EXPANDED = 4 * MAX_BYTES


def read_yaml(path: str | Path) -> Any:
    """Parse a file.

    Raises:
        BihrnetError: unreadable, not UTF-8, not YAML, or over a limit (`MAX_BYTES`, `MAX_DEPTH`,
            `MAX_EXPANDED`); the sentence names the file and the line.
    """
    return parse_yaml(_read_text(path), str(path))


def read_front_matter(path: str | Path) -> Any:
    """Parse the YAML between two lines of three dashes at the top of a Markdown file.

    Raises:
        BihrnetError: as `read_yaml`, or there are no such lines.
    """
    parts = _read_text(path).split("---", 2)
    if len(parts) < 3:
        raise BihrnetError(f"{path}: has no front matter between two lines of three dashes")
    return parse_yaml(parts[1], str(path))


def parse_yaml(text: str, source: str) -> Any:
    """Parse a text.

    Args:
        text: one YAML document.
        source: name of the text in the message of a `BihrnetError`.

    Raises:
        BihrnetError: as `read_yaml`.
    """
    if len(text) > MAX_BYTES:
        raise BihrnetError(f"{source}: is longer than {MAX_BYTES} characters, too long for YAML")
    line = 1
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            line = loader.line + 1
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        cause = f"the character U+{error.character:04X} is not allowed"
        raise _mistake(source, line, cause) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        cause = ": ".join(part for part in (error.context, error.problem) if part)
        raise _mistake(source, mark.line + 1 if mark else line, cause) from error
    except Exception as error:  # PyYAML lets errors of int(), chr() and others through
        raise _mistake(source, line, str(error) or type(error).__name__) from error


def _mistake(source: str, line: int, cause: str) -> BihrnetError:
    return BihrnetError(f"{source}: not valid YAML, line {line}: {shortened(cause, 200)}")


def _read_text(path: str | Path) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise BihrnetError(f"{path}: cannot be read: {reason}") from error
    if len(content) > MAX_BYTES:
        raise BihrnetError(f"{path}: is larger than {MAX_BYTES} bytes, too large for YAML")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _mistake(str(path), line, "the text is not UTF-8") from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with limits on depth and aliases; a value's error gets its line."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        #: Of every complete node, with its aliases expanded: number of levels, and size.
        self._extent: dict[yaml.Node, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        is_alias = self.check_event(yaml.AliasEvent)
        if self._depth == MAX_DEPTH:
            raise ComposerError(None, None, f"more than {MAX_DEPTH} levels of nesting", mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        assert node is not None
        if is_alias and node not in self._extent:
            raise ComposerError(None, None, "an alias stands for a section around it", mark)
        if node not in self._extent:
            self._extent[node] = self._measure(node)
        levels, size = self._extent[node]
        if self._depth + levels > MAX_DEPTH:
            raise ComposerError(None, None, f"more than {MAX_DEPTH} levels of nesting", mark)
        if size > MAX_EXPANDED:
            problem = f"aliases stand for more than {MAX_EXPANDED} characters"
            raise ComposerError(None, None, problem, mark)
        return node

    def _measure(self, node: yaml.Node) -> tuple[int, int]:
        """The extent of a node whose children are complete."""
        if isinstance(node, yaml.ScalarNode):
            return 1, 1 + len(node.value)
        children = node.value
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        extents = [self._extent[child] for child in children]
        levels = 1 + max((levels for levels, _ in extents), default=0)
        return levels, 1 + sum(size for _, size in extents)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # whatever int(), date() and others raise
            kind = node.tag.rpartition(":")[2]
            raise ConstructorError(
                None,
                None,
                f"{quoted(node.value)} is not a valid {shortened(kind)}",
                node.start_mark,
            ) from error
