"""index.html: the sweep as one page that needs no network; its script draws from the points that it carries."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from ..rendering import render_page


def page(content: dict[str, Any], picture: str) -> str:
    """The page.

    Args:
        content: what points.json holds.
        picture: front.svg, for readers whose browser runs no scripts.
    """
    rows = content["points"]
    # The script element would end at "</" within a text.
    data = json.dumps(content, separators=(",", ":")).replace("</", "<\\/")
    return render_page(
        "explore.html.j2",
        name=PurePath(content["model"]).stem,
        total=len(rows),
        feasible=sum(row["feasible"] for row in rows),
        front=sum(row["front"] for row in rows),
        notes=content["notes"],
        data=data,
        picture=picture,
    )
