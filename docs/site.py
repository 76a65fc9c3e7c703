"""A hook of MkDocs: links that leave the docs, to files of the repository, lead to copies of these."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """All files outside that any page links to: pages of Markdown as pages, others as they are."""
    pages = [file for file in files if file.is_documentation_page()]
    wanted = {name for page in pages for name, _ in OUTSIDE.findall(page.content_string)}
    while wanted:
        name = wanted.pop()
        path = ROOT / name
        copies = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for copy in copies:
            to = place(copy.relative_to(ROOT).as_posix())
            if files.get_file_from_path(to) is None:
                files.append(File.generated(config, to, content=text_of(copy)))
    return files


def place(name: str) -> str:
    """Where a file's copy is in the site. Readme is a name that MkDocs takes for an index."""
    return f"repository/{name.replace('README', 'read-me')}"


def text_of(path: Path) -> str | bytes:
    """A page's own links lead back into the docs, if they do so at all."""
    if path.suffix != ".md":
        return path.read_bytes()
    text = path.read_text(encoding="utf-8")
    if path.parent != ROOT:
        return text
    text = re.sub(r"\]\(docs/", "](../", text)
    return re.sub(r"\[([^\]]*)\]\((?!https?:|#|\.\./)[^)]*\)", r"\1", text)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to folders become plain text; the others lead to the copies."""
    if page.file.src_uri.startswith("repository/"):
        return markdown

    def link(found: re.Match[str]) -> str:
        name, anchor = found[1].rstrip("/"), found[2] or ""
        if (ROOT / name).is_dir():
            first = sorted((ROOT / name).rglob("*.md"))[0].relative_to(ROOT).as_posix()
            return f"]({place(first)})"
        return f"]({place(name)}{anchor})"

    return OUTSIDE.sub(link, markdown)
