"""Links of README.md and docs/ lead to a file and a heading that exist."""

import re
from functools import cache
from urllib.parse import unquote, urlsplit

import pytest
from dvc.utils.serialize import loads_yaml
from markdown_it import MarkdownIt
from support import REPOSITORY

from docs.site.hooks import rewrite

DOCS = REPOSITORY / "docs"
PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
SITE = (DOCS / "site/mkdocs.yml").read_text(encoding="utf-8")


@cache
def tokens(page):
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def name(page):
    return page.relative_to(REPOSITORY).as_posix()


def targets(page):
    """Return the targets of the links and pictures of a page."""
    inline = [child for token in tokens(page) for child in token.children or ()]
    found = [child.attrGet("href") or child.attrGet("src") for child in inline]
    html = [each.content for each in (*tokens(page), *inline) if each.type.startswith("html")]
    return [*filter(None, found), *re.findall(r'(?:src|href|srcset)="([^"]+)"', "\n".join(html))]


@cache
def anchors(page):
    """Return the anchors of a page as GitHub makes them from its headings."""
    found = []
    for heading, text in zip(tokens(page), tokens(page)[1:], strict=False):
        if heading.type == "heading_open":
            words = "".join(child.content for child in text.children)
            found.append(re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for target in targets(page):
        parts = urlsplit(target)
        if parts.scheme:
            continue
        file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        assert file.is_relative_to(REPOSITORY), target
        assert file.exists(), target
        assert file.suffix == ".md" or file.is_dir() or file.stat().st_size < 1e6, target
        if parts.fragment:
            assert parts.fragment in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_headings_have_anchors_of_their_own(page):
    assert len(anchors(page)) == len(set(anchors(page)))


def test_every_page_is_in_the_navigation_and_on_the_first_page():
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    nav = loads_yaml(SITE[SITE.index("\nnav:") :])["nav"]
    listed = re.findall(r"[\w/-]+\.md", str(nav))
    assert set(listed) == pages
    assert len(listed) == len(pages)
    linked = {target.partition("#")[0] for target in targets(DOCS / "index.md")}
    assert pages - linked == {"index.md"}


def test_a_link_out_of_docs_leads_to_the_repository():
    text = "See [the README](../../README.md), [a page](files.md#x) and [dvc](https://dvc.org)."
    notebook = "[the tour](../tutorials/tour.ipynb)"
    assert rewrite(notebook, "reference/onnx.md", "") == "the tour"
    rest = ", [a page](files.md#x) and [dvc](https://dvc.org)."
    assert rewrite(text, "reference/onnx.md", "") == f"See the README{rest}"
    url = "https://github.com/a/b"
    linked = f"See [the README]({url}/blob/HEAD/README.md){rest}"
    assert rewrite(text, "reference/onnx.md", url) == linked
