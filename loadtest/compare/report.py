"""Medians over rounds, as a table, as JSON and as a picture."""

from __future__ import annotations

import json
import statistics
from pathlib import Path


class Results:
    """Figures by line and server, a tuple each round."""

    def __init__(self, figures: tuple[str, ...], judged: str) -> None:
        self.figures, self.judged = figures, judged
        self.rows: dict[str, dict[str, list[tuple[float, ...]]]] = {}

    def add(self, line: str, server: str, values: tuple[float, ...]) -> None:
        if len(values) != len(self.figures):
            raise ValueError(f"{len(values)} values for {len(self.figures)} figures")
        self.rows.setdefault(line, {}).setdefault(server, []).append(values)

    def medians(self) -> dict[str, dict[str, dict[str, float]]]:
        """line -> server -> figure -> median."""
        return {
            line: {
                server: dict(zip(self.figures, map(statistics.median, zip(*rounds, strict=True)), strict=True))
                for server, rounds in by_server.items()
            }
            for line, by_server in self.rows.items()
        }

    def table(self) -> str:
        """A block for each figure: a row a line, a column a server, and the first server's ratio to the best of the others."""
        medians = self.medians()
        servers = list(dict.fromkeys(s for by in medians.values() for s in by))
        width = max([len(line) for line in medians] + [12])
        blocks = []
        for figure in self.figures:
            rows = [f"{figure:{width}s} " + " ".join(f"{s:>12s}" for s in servers) + "   first : others"]
            for line, by in medians.items():
                values = [by[s][figure] if s in by else None for s in servers]
                shown = " ".join("-".rjust(12) if v is None else f"{v:12,.2f}" for v in values)
                rows.append(f"{line:{width}s} {shown}   {self._ratio(figure, values)}")
            blocks.append("\n".join(rows))
        return "\n\n".join(blocks)

    @staticmethod
    def _ratio(figure: str, values: list[float | None]) -> str:
        first, others = values[0], [v for v in values[1:] if v]
        if not first or not others:
            return ""
        best = max(others) if figure.endswith("/s") else min(others)
        return f"{first / best:.2f} x"

    def write_json(self, path: str) -> None:
        Path(path).write_text(json.dumps(self.medians(), indent=1) + "\n")

    def plot(self, path: str, title: str) -> None:
        """Bars of the judged figure."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        medians = self.medians()
        servers = list(dict.fromkeys(s for by in medians.values() for s in by))
        figure, axes = pyplot.subplots(figsize=(2 + 1.2 * len(medians), 4.5), layout="constrained")
        step = 0.8 / len(servers)
        for i, server in enumerate(servers):
            heights = [by.get(server, {}).get(self.judged, 0.0) for by in medians.values()]
            axes.bar([x + i * step for x in range(len(medians))], heights, step, label=server)
        axes.set_xticks([x + 0.4 - step / 2 for x in range(len(medians))], list(medians), rotation=30, ha="right")
        axes.set_ylabel(self.judged)
        axes.set_title(title)
        axes.legend()
        figure.savefig(path, dpi=120)
        pyplot.close(figure)
