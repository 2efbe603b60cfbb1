"""What MkDocs calls while it builds the site."""

from __future__ import annotations

from pathlib import Path

import generated  # beside this file, where MkDocs looks while it loads a hook
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made at build time."""
    for path, text in generated.pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the capability table where a page asks for it."""
    if generated.CAPABILITY_TABLE not in markdown:
        return markdown
    return markdown.replace(generated.CAPABILITY_TABLE, generated.capability_table())


def on_post_build(config: MkDocsConfig) -> None:
    """Check that the built pages load nothing from another host.

    Raises:
        PluginError: one does.
    """
    found = list(generated.foreign_in_site(Path(config.site_dir)))
    if found:
        raise PluginError("the site loads from other hosts:\n" + "\n".join(found))
