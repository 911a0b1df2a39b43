"""Bars as an inline SVG: each has its name and figure as text, and the whole a title and a description."""

from collections.abc import Sequence
from html import escape

MOST = 64  # bars; of more the middle is left out, and said
WIDTH, HEIGHT, NAME, FIGURE = 720, 22, 110, 110


def bars(title: str, about: str, values: Sequence[tuple[str, float]], unit: str) -> str:
    """Bars beside each other's names.

    Args:
        title, about: plain text, for those who see it and for those who do not.
        values: name → size, not below 0.
        unit: as it stands behind a figure, such as ` s`.
    """
    shown, left_out = list(values), 0
    if len(shown) > MOST:
        shown, left_out = sorted(values, key=lambda one: -one[1])[:MOST], len(values) - MOST
    largest = max((size for _, size in shown), default=0.0) or 1.0
    room = WIDTH - NAME - FIGURE
    lines = []
    for at, (name, size) in enumerate(shown):
        top, width = at * HEIGHT, max(1.0, room * size / largest) if size else 0.0
        lines.append(
            f'<text x="{NAME - 8}" y="{top + 15}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{NAME}" y="{top + 3}" width="{width:.1f}" height="{HEIGHT - 6}" rx="2"></rect>'
            f'<text x="{NAME + width + 6:.1f}" y="{top + 15}">{_figure(size)}{escape(unit)}</text>'
        )
    told = f"{about}: {', '.join(f'{name} {_figure(size)}{unit}' for name, size in shown)}"
    more = f"<p>… and {left_out:,} smaller ones.</p>" if left_out else ""
    return (
        f"<h3>{escape(title)}</h3>\n"
        f'<svg role="img" viewBox="0 0 {WIDTH} {len(shown) * HEIGHT}" width="{WIDTH}" height="{len(shown) * HEIGHT}">'
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>\n" + "\n".join(lines) + f"</svg>{more}"
    )


def _figure(size: float) -> str:
    return f"{size:,}" if isinstance(size, int) else f"{size:,.1f}"
