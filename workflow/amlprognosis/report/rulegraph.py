"""The rule graph as an inline SVG: layers by longest path, order by barycentre, no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

BOX_HEIGHT = 30
GAP_X = 18
GAP_Y = 42
CHARACTER = 7.3


def layers_of(edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Rules in layers; every edge points to a later layer.

    Parameters
    ----------
    edges : sequence of (str, str)
        From a rule to a rule that uses its output. Edges that would close a cycle are ignored.
    """
    pairs = sorted({(a, b) for a, b in edges if a != b})
    nodes = sorted({node for pair in pairs for node in pair})
    depth = dict.fromkeys(nodes, 0)
    # At most as many rounds as rules: a cycle cannot make this loop for ever.
    for _ in nodes:
        changed = False
        for a, b in pairs:
            if depth[b] < depth[a] + 1 <= len(nodes):
                depth[b], changed = depth[a] + 1, True
        if not changed:
            break
    # A rule without inputs belongs just before the first rule that needs it.
    for node in sorted(nodes, key=lambda n: -depth[n]):
        after = [depth[b] for a, b in pairs if a == node]
        if after and not any(b == node for _, b in pairs):
            depth[node] = max(0, min(after) - 1)
    count = max(depth.values(), default=-1) + 1
    layers = [[node for node in nodes if depth[node] == level] for level in range(count)]
    layers = [layer for layer in layers if layer]
    for _ in range(4):
        _order(layers, pairs, down=True)
        _order(layers, pairs, down=False)
    return layers


def _order(layers: list[list[str]], pairs: Sequence[tuple[str, str]], down: bool) -> None:
    place = {node: (i + 0.5) / len(layer) for layer in layers for i, node in enumerate(layer)}
    sequence = layers if down else layers[::-1]
    for layer in sequence:

        def middle(node: str) -> float:
            near = [place[a] for a, b in pairs if b == node] if down else [place[b] for a, b in pairs if a == node]
            return sum(near) / len(near) if near else place[node]

        layer.sort(key=lambda node: (middle(node), node))
        place.update({node: (i + 0.5) / len(layer) for i, node in enumerate(layer)})


def reduced(edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Transitive reduction: an edge is left out when a longer way leads to the same rule."""
    pairs = sorted({(a, b) for a, b in edges if a != b})
    after: dict[str, set[str]] = {a: set() for pair in pairs for a in pair}
    for a, b in pairs:
        after[a].add(b)

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        stack = [start]
        while stack:
            for node in after[stack.pop()]:
                if node not in seen:
                    seen.add(node)
                    stack.append(node)
        return seen

    beyond = {node: reach(node) for node in after}
    return [(a, b) for a, b in pairs if not any(b in beyond[c] for c in after[a] if c != b and a not in beyond[c])]


def rule_graph_svg(edges: Sequence[tuple[str, str]]) -> str:
    """SVG of the rule graph, top to bottom, without edges that a longer way implies; empty without edges."""
    edges = reduced(edges)
    layers = layers_of(edges)
    if not layers:
        return ""
    widths = {node: 22 + CHARACTER * len(node) for layer in layers for node in layer}
    totals = [sum(widths[node] for node in layer) + GAP_X * (len(layer) - 1) for layer in layers]
    width = max(totals) + 8
    height = len(layers) * BOX_HEIGHT + (len(layers) - 1) * GAP_Y + 8
    center, top = {}, {}
    for level, (layer, total) in enumerate(zip(layers, totals, strict=True)):
        x = (width - total) / 2
        for node in layer:
            center[node], top[node] = x + widths[node] / 2, 4 + level * (BOX_HEIGHT + GAP_Y)
            x += widths[node] + GAP_X
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rulegraph" role="img" aria-label="Rule graph of the workflow" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#8a8f98"/></marker></defs>',
    ]
    for a, b in edges:
        y1, y2 = top[a] + BOX_HEIGHT, top[b] - 2
        bend = (y2 - y1) / 2
        parts.append(
            f'<path d="M{center[a]:.1f} {y1:.1f}C{center[a]:.1f} {y1 + bend:.1f} {center[b]:.1f} {y2 - bend:.1f} '
            f'{center[b]:.1f} {y2:.1f}" fill="none" stroke="#b4b9c2" stroke-width="1.3" marker-end="url(#tip)"/>'
        )
    for node, x in center.items():
        w = widths[node]
        parts.append(
            f'<rect x="{x - w / 2:.1f}" y="{top[node]:.1f}" width="{w:.1f}" height="{BOX_HEIGHT}" rx="5" '
            f'fill="#e8f1f8" stroke="#0072B2"/><text x="{x:.1f}" y="{top[node] + 20:.1f}" text-anchor="middle" '
            f'font-size="12.5" fill="#1a1a1a">{escape(node)}</text>'
        )
    return "".join([*parts, "</svg>"])
