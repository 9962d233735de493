"""What the site has beside the pages of docs/: pages that stand elsewhere."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Pages that stand beside what they are about, and their names on the site.
ELSEWHERE = {
    "../codesets/payers/README.md": "payer-packs.md",
    "../codesets/SOURCES.md": "codeset-sources.md",
    "../codesets/LICENSES.md": "data-licences.md",
    "../SECURITY.md": "security-policy.md",
    "../samples/README.md": "samples.md",
    "../tests/cases/README.md": "conformance.md",
    "../CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?![a-z]+:|#)([^)#]+)(#[^)]*)?\)")
_FROM = {name: posixpath.dirname(where) for where, name in ELSEWHERE.items()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take in the pages that stand elsewhere."""
    for where, name in ELSEWHERE.items():
        text = (ROOT / where.removeprefix("../")).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links out of docs/, or into it, lead to the page on the site, or where that has none, become plain text."""
    if page.file.src_uri.count("/"):
        return markdown

    def link(found: re.Match[str]) -> str:
        text, where, anchor = found.groups()
        meant = posixpath.normpath(posixpath.join(_FROM.get(page.file.src_uri, ""), where))
        meant = ELSEWHERE.get(meant, meant.removeprefix("../docs/"))
        return text if meant.startswith("../") else f"[{text}]({meant}{anchor or ''})"

    return _LINK.sub(link, markdown)
