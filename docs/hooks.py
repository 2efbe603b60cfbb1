"""What MkDocs calls while it builds the site."""

from __future__ import annotations

from pathlib import Path

import generated  # beside this file, where MkDocs looks while it loads a hook
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made at build time."""
    for path, text in generated.pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """Check that the built pages load nothing from another host.

    Raises:
        PluginError: one does.
    """
    found = list(generated.foreign_in_site(Path(config.site_dir)))
    if found:
        raise PluginError("the site loads from other hosts:\n" + "\n".join(found))
