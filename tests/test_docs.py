"""The documentation: the site builds, links resolve, text is wrapped and in the field's words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md")
PAGES = sorted([*(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / name for name in ROOT_PAGES)])
SOURCES = sorted((REPOSITORY / "src").rglob("*.py"))
WIDTH = 100

#: Words that were replaced by the field's own, and must not come back.
REPLACED = {
    r"judg(e|es|ed|ing)": "evaluate, score",
    r"octets?": "byte",
    r"bricks?": "building block, layer",
    r"passed over": "skipped",
    r"is no (JPEG|PNG|checkpoint|image|file)": "is not a ...",
    r"(optimi|initiali|quanti|binari|normali)s(e|es|ed|ing|ation|er|ers)": "-ize",
    r"(colou|neighbou|behaviou)rs?": "-or",
    r"(cent|met)re(s|d)?": "-er",
    r"gr(e)y": "gray",
}
#: Spelled so by the file format, and recipe keys of old that a message names.
ALLOWED = {"quantise", "optimiser", "binarisation"}


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a page, without those of code blocks and tables."""
    code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code and not line.lstrip().startswith("|"):
            yield number, line


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = ["mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_builds_strictly_and_holds_every_page(site):
    pages = {path.relative_to(REPOSITORY / "docs") for path in PAGES if "docs" in path.parts}
    assert all((site / page.with_suffix(".html")).is_file() for page in pages)
    in_nav = (REPOSITORY / "mkdocs.yml").read_text()
    assert all(f"{page}\n" in in_nav for page in pages)


def test_the_reference_shows_sections_of_docstrings(site):
    text = re.sub(r"<[^>]+>", "", (site / "api" / "poses.html").read_text(encoding="utf-8"))
    for heading in ("Parameters:", "Returns:", "Yields:", "Raises:", "Attributes:", "Examples:"):
        assert heading in text
    models = (site / "api" / "models.html").read_text(encoding="utf-8")
    # The text of "Returns" stays whole, although a colon in it looks like the end of a type.
    shown = re.sub(r"<[^>]+>", "", models)
    assert "weights (K,): 0 where the joint is unlabeled" in " ".join(shown.split())


def test_the_site_loads_nothing_from_elsewhere(site):
    loads = re.compile(
        r'(?:src|srcset)="?(https?:)?//|<link[^>]+href="?https?://|url\(["\']?https?:'
    )
    files = [path for suffix in ("html", "css") for path in site.rglob(f"*.{suffix}")]
    assert len(files) > 20
    assert [path.name for path in files if loads.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_to_files_and_headings_resolve(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


def anchors(page: Path) -> set[str]:
    """What links to headings of a page are called."""
    titles = [line.lstrip("# ") for _, line in prose(page) if line.startswith("#")]
    return {re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_text_is_wrapped(page):
    lines = [(number, re.sub(r"\]\([^)]*\)", "]", line)) for number, line in prose(page)]
    assert [number for number, line in lines if len(line) > WIDTH] == []


@pytest.mark.parametrize("file", [*PAGES, *SOURCES], ids=name)
def test_replaced_words_do_not_come_back(file):
    text = file.read_text(encoding="utf-8")
    for pattern, better in REPLACED.items():
        found = {match[0] for match in re.finditer(rf"\b{pattern}\b", text, re.IGNORECASE)}
        assert not found - ALLOWED, f"say {better} instead"


def test_citation_names_the_papers_and_the_repository():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'Repository = "{citation["repository-code"]}"' in project
    assert f'license = "{citation["license"]}"' in project
    assert len(citation["references"]) == 4
    for reference in citation["references"]:
        assert reference["title"]
        assert reference["authors"]
        assert reference["year"]


@pytest.mark.parametrize(
    "path",
    [*sorted((REPOSITORY / ".github").rglob("*.yml")), REPOSITORY / ".pre-commit-config.yaml"],
    ids=name,
)
def test_configuration_of_services_is_yaml(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_version_is_written_in_one_place():
    version = re.search(r'^version = "(.+)"$', (REPOSITORY / "pyproject.toml").read_text(), re.M)[1]
    copies = [name(path) for path in SOURCES if f'"{version}"' in path.read_text(encoding="utf-8")]
    assert copies == []
