"""YAML of users: every mistake and every attack is one short sentence, at once."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_run import tiny_recipe

from bihrnet import zoo
from bihrnet.errors import BihrnetError, quoted, shortened
from bihrnet.skeleton import LSP, Skeleton, load_skeleton
from bihrnet.training.recipe_files import dump_recipe, load_recipe
from bihrnet.yaml_files import MAX_BYTES, MAX_DEPTH, parse_yaml, read_yaml

REPOSITORY = Path(__file__).resolve().parents[1]

#: Characters of a message, the path of the file aside.
SHORT = 500

#: Python's own errors of these values escaped from PyYAML.
WRONG_VALUES = [
    "2024-02-30",
    "2024-01-01T00:00:00+99:99",
    "0x_",
    "0b_",
    '!!int ""',
    '!!float ""',
    "!!int x",
    "!!bool x",
    "!!timestamp x",
    "!!timestamp []",
    "1" * 5000,
    "1:" + "59:" * 400 + "0.5",
    '"\\UFFFFFFFF"',
    "!!python/object:os.system x",
    "=",
    "*unknown",
    "{[1]: 2}",
    "a: b: c",
]


def bomb(levels: int, width: int) -> str:
    """Levels of lists that name the level below `width` times: width^levels values."""
    above = [
        f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * width)}]"
        for level in range(1, levels)
    ]
    return "\n".join(["l0: &l0 [x, x]", *above])


BOMBS = {
    "values": bomb(20, 8),
    "override": "[&a [x, x], &b [" + "*a, " * 9 + "], &c [" + "*b, " * 9 + "], &d ["
    + "*c, " * 9 + "], &e [" + "*d, " * 9 + "], &f [" + "*e, " * 9 + "], &g [" + "*f, " * 9 + "]]",
    "merged": "l0: &l0 {a: 1}\n"
    + "\n".join(f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}" for n in range(1, 12)),
    "text": f"a: &a {'x' * 600}\nb: [" + "*a, " * 8000 + "]",
    "deep": "l0: &l0 [x]\n" + "\n".join(f"l{n}: &l{n} [*l{n - 1}]" for n in range(1, 1500)),
    "cycle": "a: &a [1, *a]",
}  # fmt: skip
DEEP = {
    "flow lists": "[" * 10_000 + "]" * 10_000,
    "open lists": "[" * 10_000,
    "flow maps": "{a: " * 10_000,
    "block lists": "- " * 10_000 + "x",
    "block keys": "? " * 10_000 + "x",
    "indented": "\n".join(" " * depth + "a:" for depth in range(300)),
}


def refusal(source: str, read: Callable[..., Any], *arguments: Any) -> str:
    """The message without the name of the file, after a check that it is a short sentence."""
    started = time.process_time()
    with pytest.raises(BihrnetError) as caught:
        read(*arguments)
    assert time.process_time() - started < 1
    message = str(caught.value)
    assert message.startswith(f"{source}: ")
    assert message.isprintable()
    assert len(message) - len(source) < SHORT
    return message.removeprefix(source)


@pytest.mark.parametrize("text", WRONG_VALUES)
def test_a_wrong_value_is_a_sentence_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"first: 1\nsecond: {text}\nthird: 3\n")
    for read in (read_yaml, load_recipe, load_skeleton):
        assert re.match(": not valid YAML, line [23]: ", refusal(str(path), read, path))


@pytest.mark.parametrize("text", [text for text in WRONG_VALUES if text != "a: b: c"])
def test_a_wrong_override_is_a_sentence_that_names_it(text: str) -> None:
    override = f"name={text}"
    message = refusal(shortened(override), load_recipe, "hrnet-w32@lspet-128x128", [override])
    assert message.startswith(": not valid YAML, line 1: ")


@pytest.mark.parametrize("text", [*BOMBS.values(), *DEEP.values()], ids=[*BOMBS, *DEEP])
def test_a_bomb_is_refused_at_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    for read in (read_yaml, load_recipe, load_skeleton):
        message = refusal(str(path), read, path)
        assert re.search(r"line \d+: (aliases stand|an alias stands|more than 32 levels)", message)
    override = f"options={text}"
    message = refusal(shortened(override), load_recipe, "hrnet-w32@lspet-128x128", [override])
    assert message.startswith(": not valid YAML, line ")


def test_aliases_within_the_limits_are_read_as_before() -> None:
    text = "base: &base {a: 1, b: [x, y]}\nother: {<<: *base, a: 2}\nagain: [*base, *base]"
    assert parse_yaml(text, "text") == yaml.safe_load(text)
    assert parse_yaml("", "text") is None
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_yaml(deepest, "text") == yaml.safe_load(deepest)


def test_files_of_any_size_are_refused_without_reading_them_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n" + b"#" * (MAX_BYTES - 5))
    assert read_yaml(path) == {"a": 1}
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert "larger than 65536 bytes" in refusal(str(path), read_yaml, path)
    assert "larger than" in refusal("/dev/zero", read_yaml, "/dev/zero")
    with pytest.raises(BihrnetError, match="longer than 65536 characters"):
        parse_yaml("#" * (MAX_BYTES + 1), "text")


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    assert refusal(str(path), read_yaml, path).endswith("line 2: the text is not UTF-8")
    path.write_text("a: 1\nb: 2\nc: \x1b[31m")
    assert refusal(str(path), read_yaml, path).endswith(
        "line 3: the character U+001B is not allowed"
    )
    assert "cannot be read" in refusal(str(tmp_path), read_yaml, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"limbs": [[0, math.inf]]},
        {"flip_pairs": [[math.nan, 1]]},
        {"upper_body": [-math.inf]},
        {"sigmas": [math.inf, *LSP.sigmas[1:]]},
        {"sigmas": [10**400, *LSP.sigmas[1:]]},
        {"sigmas": [".inf", *LSP.sigmas[1:]]},
    ],
)
def test_numbers_of_a_skeleton_are_finite(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({**LSP.to_dict(), **change}))
    message = refusal(str(path), load_skeleton, path)
    assert re.search("finite|too large|could not convert", message)
    override = f"data.skeleton={path}"
    with pytest.raises(BihrnetError, match=r"finite|too large|could not convert"):
        load_recipe("hrnet-w32@lspet-128x128", [override])


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("epochs=" + "x" * 9000, "epochs"),
        ("loss=0x1" + "0" * 9000, "loss"),
        ("loss=[" + "x, " * 3000 + "]", "loss"),
        ("optimizer={" + "k" * 100 + ": 1}", "optimizer"),
        ("y" * 9000 + "=1", "y"),
        ("data.skeleton=" + "y" * 9000, "skeleton"),
        ('data.skeleton={"' + "y" * 999 + '": 1}', "skeleton"),
        ("extends=" + "y" * 9000, "extends"),
        ("z" * 9000, "z"),
    ],
)
def test_quoted_input_is_cut(tmp_path: Path, override: str, key: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(dump_recipe(tiny_recipe()))
    with pytest.raises(BihrnetError, match=key) as caught:
        load_recipe(path, [override])
    assert len(str(caught.value)) - len(str(path)) < SHORT


@pytest.mark.parametrize("base", ["[1, 2]", "0x1" + "0" * 9000, "y" * 9000, '"a\\0b"'])
def test_a_base_that_is_no_file_is_refused(tmp_path: Path, base: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"extends: {base}\n")
    assert ": extends " in refusal(str(path), load_recipe, path)


@pytest.mark.parametrize(
    ("card", "complaint"),
    [
        ("no front matter", "no front matter"),
        ("---\nskeleton: 0x_\n---\n", "line 2: '0x_' is not a valid int"),
        ("---\n[1]\n---\n", "not a mapping"),
        ("---\nskeleton: lsp-14\n---\n", "missing"),
        (f"---\n{'x' * 900}: 1\n---\n", "unexpected"),
    ],
)
def test_a_broken_model_card_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: str, complaint: str
) -> None:
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    (tmp_path / "a__b.md").write_text(card)
    assert complaint in refusal(str(tmp_path / "a__b.md"), zoo.model_cards)


def test_no_other_module_loads_yaml() -> None:
    for path in (REPOSITORY / "src").rglob("*.py"):
        used = re.findall(r"\byaml\.\w*(?:load|Loader|compose|parse)\w*", path.read_text("utf-8"))
        assert not used or path.name == "yaml_files.py", f"{path} uses {used}"


def test_quoted_values_are_short_printable_and_on_one_line() -> None:
    assert quoted("a") == "'a'"
    assert shortened("x" * 60) == "x" * 60
    assert shortened("x" * 61) == "x" * 57 + "..."
    assert shortened("\x1b[31m\n \udcff é") == "\\x1b[31m \\udcff é"
    assert quoted(16**9000) == "a huge int"
    assert len(shortened("\U0001f600\x00" * 10**6)) == 60


#: Text with YAML's own signs and words more often than chance would have them.
PIECES = (
    "- , : ? [ ] { } ! & * # | > @ ` % \" ' = << ~ .inf .nan 0x_ 1:2 2024-02-30 !!int !!set !!omap"
    " !!pairs !!binary !!float !!timestamp !!bool !!null &a *a \\ud800 \\x00 --- ... extends name"
    " data optimizer skeleton options epochs augmentation lr"
)
TEXTS = st.text() | st.lists(st.sampled_from([*PIECES.split(), "\n"]) | st.text(max_size=3)).map(
    " ".join
)
FIELDS = st.dictionaries(
    st.sampled_from([*Skeleton.__dataclass_fields__]) | st.text(max_size=3),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    ),
)


def check(read: Callable[..., Any], *arguments: Any) -> None:
    """Nothing but a `BihrnetError` with a short sentence may be raised."""
    try:
        read(*arguments)
    except BihrnetError as error:
        message = str(error)
    else:
        return
    assert len(message) < SHORT
    assert message.isprintable()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_any_text_is_read_or_refused(text: str) -> None:
    check(lambda: Skeleton.from_dict(parse_yaml(text, "text")))
    for override in (text, f"name={text}", f"options={text}", f"data={text}"):
        check(load_recipe, "hrnet-w32@lspet-128x128", [override])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FIELDS)
def test_any_fields_are_a_skeleton_or_refused(fields: dict[str, Any]) -> None:
    check(Skeleton.from_dict, {**LSP.to_dict(), **fields})
