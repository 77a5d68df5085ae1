"""What the site needs beside the pages: pictures and model cards from `assets/`, and the pages that grow in number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
CARDS = "cards"
GROWING = {"Decisions": "decisions", "Results": "results"}
"""Sections of the navigation, and the folders whose pages are listed there after the index."""


def on_config(config: MkDocsConfig) -> None:
    """List the pages of folders that grow."""
    nav: list[Any] = config.nav or []
    for section in nav:
        for title, folder in GROWING.items():
            if isinstance(section, dict) and title in section:
                pages = sorted(path.name for path in (Path(config.docs_dir) / folder).glob("*.md"))
                section[title] = [f"{folder}/index.md", *(f"{folder}/{page}" for page in pages if page != "index.md")]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures and the model cards, which lie where the README finds them."""
    assets = ROOT / "assets"
    for picture in sorted(assets.glob("*.png")):
        files.append(File.generated(config, f"assets/{picture.name}", abs_src_path=str(picture)))
    for card in sorted(assets.glob("*.md")):
        files.append(File.generated(config, f"{CARDS}/{card.name}", abs_src_path=str(card)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """On disk `assets/` lies beside `docs/`, in the site within it; cards stand in a folder of their own."""
    inside = re.sub(r"(\]\((?:\.\./)*)\.\./assets/", r"\1assets/", markdown)
    return re.sub(r"\]\(((?:\.\./)*)assets/(\w+)\.md", rf"](\1{CARDS}/\2.md", inside)
