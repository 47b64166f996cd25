"""SVG as text: elements with escaped content and attributes, scales, and texts that fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import count

CHARACTER = 6.1
"""Mean width of a character at a font size of 11, in pixels."""

SHORTEST = 4
"""Characters of a text that is worth showing."""

COLOURS = 10
"""Classes c0, c1, ... of templates/schedule.css.j2."""


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """An element around content that is SVG already; `class_` stands for class, underscores for hyphens."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(content: str, x: float, y: float, **attributes: object) -> str:
    """A text."""
    return element("text", escape(content), x=x, y=y, **attributes)


def titled(content: str, title: str, **attributes: object) -> str:
    """A group with a text that appears when the pointer rests on it."""
    return element("g", element("title", escape(title)) + content, **attributes)


def picture(
    content: str, width: float, height: float, label: str, style: str = "", kind: str = "schedule"
) -> str:
    """A whole SVG document; it scales with the page.

    Args:
        content: the elements.
        width: of the drawing.
        height: of the drawing.
        label: what it shows, for those who do not see it.
        style: CSS, for a picture that stands alone.
        kind: its CSS class.
    """
    sheet = element("style", escape(style)) if style else ""
    return element(
        "svg",
        sheet + content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        role="img",
        class_=kind,
        aria_label=label,
    )


def fitted(content: str, width: float) -> str:
    """The text, or as much of it as fits; nothing where that is next to nothing.

    Of a path of names, as exporters write them, the end tells more than the beginning.
    """
    room = int(width / CHARACTER)
    if len(content) <= room:
        return content
    if room < SHORTEST:
        return ""
    return f"…{content[1 - room :]}" if "/" in content else f"{content[: room - 1]}…"


@dataclass(frozen=True)
class Scale:
    """Cycles to pixels, between the names on the left and the figures on the right."""

    cycles: int
    left: float = 104
    right: float = 78
    width: float = 1180

    @property
    def end(self) -> float:
        """Right edge of the plot."""
        return self.width - self.right

    def x(self, cycle: float) -> float:
        """Place of a cycle."""
        return self.left + self.length(cycle)

    def length(self, cycles: float) -> float:
        """Width of a number of cycles."""
        return (self.end - self.left) * cycles / max(self.cycles, 1)

    def ticks(self) -> Iterator[int]:
        """About eight round numbers from 0 on."""
        steps = (digit * 10**power for power in count() for digit in (1, 2, 5))
        step = next(step for step in steps if self.cycles <= 10 * step)
        yield from range(0, self.cycles + 1, step)


def axis(scale: Scale, y: float) -> str:
    """Cycles along the bottom."""
    ticks = "".join(
        element("path", d=f"M{_number(scale.x(tick))} {_number(y)}v4", class_="rule")
        + text(f"{tick:,}", scale.x(tick), y + 16, class_="dim", text_anchor="middle")
        for tick in scale.ticks()
    )
    line = element("path", d=f"M{scale.left:g} {_number(y)}H{scale.end:g}", class_="rule")
    return line + ticks + text("cycles", scale.end + 8, y + 16, class_="dim")


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
