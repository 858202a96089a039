"""The pipeline's graph as inline SVG: layers from left to right, few crossings."""

import itertools
from html import escape

from nat.report.page.graph import Graph, Node

HEIGHT, ROW, GAP, MARGIN = 42, 62, 40, 12  # pixels: of a box, between rows, between layers, around
LETTER, SMALLER = 7.3, 5.9  # width of a letter of a box's name, of the line below

# a box: its number and -1; or a bend of the arrows of a box: -1 - its number, and the bend's layer
Place = tuple[int, int]


def draw_graph(graph: Graph) -> str:
    """An <svg> that takes its colours from the page's style sheet."""
    layers = _arranged(graph)
    width = {
        i: 22 + max(LETTER * len(node.name), SMALLER * len(_runs(node)))
        for i, node in enumerate(graph.nodes)
    }
    tallest = max(len(layer) for layer in layers)
    spots: dict[Place, tuple[float, float, float]] = {}
    x = float(MARGIN)
    for layer in layers:
        wide = max(width[i] if bend < 0 else 0 for i, bend in layer)
        top = MARGIN + (tallest - len(layer)) * ROW / 2
        for row, place in enumerate(layer):
            spots[place] = (x, top + row * ROW + ROW / 2, wide)
        x += wide + GAP
    right, bottom = x - GAP + MARGIN, 2 * MARGIN + tallest * ROW
    files = list(dict.fromkeys(node.file for node in graph.nodes))
    parts = [
        f'<svg class="graph" viewBox="0 0 {right:.0f} {bottom:.0f}" width="{right:.0f}" '
        f'height="{bottom:.0f}" role="img" aria-label="The pipeline as a graph of '
        f'{len(graph.nodes)} boxes; the table below has the same in words">'
    ]
    parts += [_arrow(_way(layers, a, b), spots) for a, b in graph.arrows]
    for i, node in enumerate(graph.nodes):
        parts.append(_box(node, *spots[i, -1], files.index(node.file) % 4))
    return "\n".join([*parts, "</svg>"])


def _box(node: Node, x: float, y: float, wide: float, colour: int) -> str:
    told = "\n".join(f"{stage.name}: {stage.description}" for stage in node.stages)
    middle = x + wide / 2
    return (
        f'<g class="box file{colour}"><title>{escape(told)}</title>'
        f'<rect x="{x:.1f}" y="{y - HEIGHT / 2:.1f}" width="{wide:.1f}" height="{HEIGHT}" rx="5"/>'
        f'<text class="name" x="{middle:.1f}" y="{y - 2:.1f}">{escape(node.name)}</text>'
        f'<text class="runs" x="{middle:.1f}" y="{y + 13:.1f}">{_runs(node)}</text></g>'
    )


def _runs(node: Node) -> str:
    stages = "" if len(node.stages) == 1 else f"{len(node.stages)} stages, "
    return f"{stages}{node.runs} run{'' if node.runs == 1 else 's'}"


def _arrow(way: list[Place], spots: dict[Place, tuple[float, float, float]]) -> str:
    x, y, wide = spots[way[0]]
    path = f"M{x + wide:.1f} {y:.1f}"
    start = x + wide
    for place in way[1:]:
        left, height, wide = spots[place]
        last = place is way[-1]
        end = left - 5 if last else left
        half = (start + end) / 2
        path += f"C{half:.1f} {y:.1f} {half:.1f} {height:.1f} {end:.1f} {height:.1f}"
        if last:
            path += "m-5 -4l6 4l-6 4"
        else:
            path += f"L{left + wide:.1f} {height:.1f}"
        start, y = left + wide, height
    return f'<path class="arrow" d="{path}"/>'


def _arranged(graph: Graph) -> list[list[Place]]:
    """Layers of boxes and of the bends of arrows that pass them, ordered for few crossings."""
    level = [0] * len(graph.nodes)
    for _ in graph.nodes:  # the longest way to each box; there are no cycles
        for a, b in graph.arrows:
            level[b] = max(level[b], level[a] + 1)
    layers: list[list[Place]] = [[] for _ in range(max(level) + 1)]
    for i in range(len(graph.nodes)):
        layers[level[i]].append((i, -1))
    near: dict[Place, list[Place]] = {}
    for a, b in graph.arrows:
        for between in range(level[a] + 1, level[b]):
            if (-1 - a, between) not in layers[between]:
                layers[between].append((-1 - a, between))
    for a, b in graph.arrows:
        way = _way(layers, a, b)
        for one, other in itertools.pairwise(way):
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
    for _ in range(12):
        for order in (range(1, len(layers)), range(len(layers) - 2, -1, -1)):
            for index in order:
                _sort(layers, index, near)
    return layers


def _sort(layers: list[list[Place]], index: int, near: dict[Place, list[Place]]) -> None:
    """Order a layer by the mean height of what its places are joined to in the layers beside it."""
    height = {
        place: row - (len(layer) - 1) / 2
        for beside in (index - 1, index + 1)
        if 0 <= beside < len(layers)
        for layer in [layers[beside]]
        for row, place in enumerate(layer)
    }

    def mean(place: Place) -> float:
        heights = [height[other] for other in near.get(place, ()) if other in height]
        return sum(heights) / len(heights) if heights else 0.0

    layers[index].sort(key=mean)


def _way(layers: list[list[Place]], a: int, b: int) -> list[Place]:
    """An arrow's places, from box ``a`` by the bends of its arrows to box ``b``."""
    bends: list[Place] = []
    for layer in layers:
        if (b, -1) in layer:
            break
        bends += [place for place in layer if place[0] == -1 - a]
    return [(a, -1), *bends, (b, -1)]
