"""Hooks of MkDocs: what pages of docs/ need that lies outside docs/.

On GitHub, links to files outside docs/ and to notebooks work as they stand. On the site they lead
to GitHub if a workflow of GitHub builds the site. Elsewhere, only their text stays.
"""

import os
import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the icon of the app to the site."""
    from mkdocs.structure.files import File  # the tests import this module without MkDocs

    files.append(File.generated(config, "icon.svg", abs_src_path="app/icons/icon.svg"))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Rewrite the links of a page that lead out of docs/."""
    return rewrite(markdown, page.file.src_uri, repository_url())


def repository_url() -> str:
    """Return the address of the repository in a workflow of GitHub, otherwise ""."""
    name = os.environ.get("GITHUB_REPOSITORY")
    return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}" if name else ""


def outside(page: str, target: str) -> str | None:
    """Return the path of a link's target in the repository, or None if the site has it.

    The site has what lies in docs/, but no notebooks, which browsers do not show.

    Args:
        page: path of the page, relative to docs/.
        target: relative path that the link names.
    """
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
    return None if path.startswith("docs/") and not path.endswith(".ipynb") else path


def rewrite(text: str, page: str, url: str) -> str:
    """Return a page whose links to files outside docs/ lead below `url`, or are only text."""

    def link(match: re.Match[str]) -> str:
        target = match["target"]
        if re.match(r"[a-z]+:|#", target) or (path := outside(page, target)) is None:
            return match[0]
        return f"[{match['text']}]({url}/blob/HEAD/{path})" if url else match["text"]

    return _LINK.sub(link, text)
