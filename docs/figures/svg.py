"""Write small SVG pictures with a background of their own, which follow a light or dark system."""

from xml.sax.saxutils import escape

_STYLE = """
  svg { --ground: #ffffff; --ink: #1f2328; --faint: #5f6771; --line: #8c959f; --main: #cfe3fb;
    --mainline: #3b7dd8; --count: #d3f0dd; --countline: #2a8f55; --plain: #eff1f4; }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #16181d; --ink: #f2f3f5; --faint: #a5adb8; --line: #737b87; --main: #1d3557;
      --mainline: #6aa7f0; --count: #173d29; --countline: #4cc38a; --plain: #262a31; }
  }
  .ground { fill: var(--ground); }
  text { fill: var(--ink); font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
  .faint { fill: var(--faint); font-size: 12px; }
  .bold { font-weight: 600; }
  .title { font-weight: 600; font-size: 15px; }
  .plain { fill: var(--plain); stroke: var(--line); }
  .main { fill: var(--main); stroke: var(--mainline); }
  .count { fill: var(--count); stroke: var(--countline); }
  .arrow { fill: none; stroke: var(--line); stroke-width: 1.5; marker-end: url(#head); }
  .skip { fill: none; stroke: var(--mainline); stroke-width: 1.5; marker-end: url(#head); }
  .cut { stroke-dasharray: 5 4; }
  marker path { fill: var(--line); }
"""
_HEAD = (
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6"'
    ' orient="auto-start-reverse"><path d="M0 0L8 4L0 8z"/></marker>'
)


class Svg:
    """Picture that is drawn from top to bottom. Lengths are in pixels.

    Args:
        width, height: of the picture.
        title: description for readers who cannot see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f"<defs>{_HEAD}</defs>",
            f'<rect class="ground" width="{width}" height="{height}" rx="10"/>',
        ]

    def rect(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a rectangle of a class of the style."""
        self._parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
            ' rx="4"/>'
        )

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "middle") -> None:
        """Write one line of text at its baseline."""
        self._parts.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def path(self, data: str, kind: str = "arrow") -> None:
        """Draw a line with an arrow head."""
        self._parts.append(f'<path class="{kind}" d="{data}"/>')

    def box(self, x: float, y: float, width: float, lines: list[str], kind: str = "plain") -> None:
        """Draw a rectangle with lines of text; the first is bold, the others are faint."""
        self.rect(x, y, width, 14 + 17 * len(lines), kind)
        for i, line in enumerate(lines):
            self.text(x + width / 2, y + 20 + 17 * i, line, "faint" if i else "bold")

    def source(self) -> str:
        """Return the text of the SVG file."""
        return "\n".join([*self._parts, "</svg>\n"])
