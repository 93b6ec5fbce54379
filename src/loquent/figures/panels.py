"""The look that all figures share: pictures in rows and columns, close together, labelled, with scales below them."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from loquent.storage import atomic_path

PANEL_IN = 2.25
"""Width of a panel in inches: 450 columns of pixels at `DPI`."""
DPI = 200
INK, QUIET, FRAME = "#1a1a1a", "#5a5a5a", "#c4c4c4"
_LEFT_IN, _TOP_IN, _RIGHT_IN, _GAP_IN, _SCALE_IN, _LINE_IN = 1.0, 0.3, 0.1, 0.06, 0.4, 0.145
_GREY = np.array([0.299, 0.587, 0.114])


class Panels:
    """A figure: a grid of panels with labels to the left and on top, and a caption below."""

    def __init__(
        self,
        n_columns: int,
        ratios: Sequence[float],
        *,
        caption: str,
        gaps_in: Sequence[float] = (),
        has_scales: bool = False,
        width_in: float = PANEL_IN,
    ) -> None:
        """Lay out empty panels.

        Args:
            n_columns: panels side by side.
            ratios: height of each row's panels as a share of their width.
            caption: what the figure shows.
            gaps_in: room above each row in inches; nothing = little, and none above the first.
            has_scales: leave room for scales below the last row.
            width_in: width of a panel in inches.
        """
        gaps = list(gaps_in) or [0.0, *[_GAP_IN] * (len(ratios) - 1)]
        self._width = _LEFT_IN + n_columns * width_in + (n_columns - 1) * _GAP_IN + _RIGHT_IN
        # About 17 letters of the caption's size fit an inch.
        lines = textwrap.wrap(caption, int((self._width - _LEFT_IN - _RIGHT_IN) * 17))
        below = _SCALE_IN * has_scales + 0.18 + _LINE_IN * len(lines)
        self._height = _TOP_IN + width_in * sum(ratios) + sum(gaps) + below
        self.figure = Figure(figsize=(self._width, self._height), dpi=DPI, facecolor="white")
        self._panels = []
        self._top = _TOP_IN
        for ratio, gap in zip(ratios, gaps, strict=True):
            self._top += gap
            lefts = [_LEFT_IN + column * (width_in + _GAP_IN) for column in range(n_columns)]
            boxes = [self._box(left, self._top, width_in, width_in * ratio) for left in lefts]
            self._panels.append([self.figure.add_axes(box, visible=False) for box in boxes])
            self._top += width_in * ratio
        self._write(_LEFT_IN, self._height - 0.08, "\n".join(lines), size=7.5, colour=QUIET, ha="left", va="bottom")

    def show(
        self, row: int, column: int, picture: Shaped[np.ndarray, "height width channels"], *, frame: str = FRAME
    ) -> None:
        """Fill a panel with an RGB or RGBA picture; few pixels are smoothed, `frame` is the colour of its border."""
        axes = self._panels[row][column]
        axes.set_visible(True)
        axes.imshow(picture, aspect="auto", interpolation="antialiased" if picture.shape[1] > 200 else "bicubic")
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set(linewidth=0.5 if frame == FRAME else 1.6, edgecolor=frame)

    def name_column(self, column: int, text: str, *, row: int = 0, colour: str = INK) -> None:
        """A label above a panel."""
        self._panels[row][column].set_title(text, fontsize=8, color=colour, pad=3.5, parse_math=False)

    def name_row(self, row: int, text: str, *, last: int | None = None) -> None:
        """A label left of a row of panels, or of all from `row` to `last`."""
        high = self._panels[row][0].get_position().y1
        low = self._panels[row if last is None else last][0].get_position().y0
        middle = (1 - (high + low) / 2) * self._height
        self._write(_LEFT_IN - 0.1, middle, textwrap.fill(text, 15), size=8.5, colour=INK, ha="right", va="center")

    def add_scale(self, column: int, colours: ScalarMappable, label: str) -> None:
        """A scale below the last panel of a column."""
        box = self._panels[-1][column].get_position()
        left, width = box.x0 * self._width, box.width * self._width
        axes = self.figure.add_axes(self._box(left + 0.08 * width, self._top + 0.07, 0.84 * width, 0.08))
        self.figure.colorbar(colours, cax=axes, orientation="horizontal").outline.set_linewidth(0.4)
        axes.tick_params(labelsize=7, length=2, width=0.4, pad=1.5, colors=INK)
        axes.set_xlabel(label, fontsize=7.5, labelpad=1.5, color=INK)

    def save(self, path: Path) -> None:
        """Write the figure as PNG, whole or not at all."""
        with atomic_path(path) as temporary:
            self.figure.savefig(temporary, format="png")

    def _write(self, left: float, top: float, text: str, *, size: float, colour: str, ha: str, va: str) -> None:
        """Text at a place in inches from the top left. Names are the user's: a $ in them is no formula."""
        x, y = left / self._width, 1 - top / self._height
        self.figure.text(x, y, text, fontsize=size, color=colour, ha=ha, va=va, parse_math=False)

    def _box(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Inches from the top left as matplotlib's shares of the page from the bottom left."""
        return left / self._width, 1 - (top + height) / self._height, width / self._width, height / self._height


def scale(low: float, high: float, colours: Colormap) -> ScalarMappable:
    """Colours for values from `low` to `high`."""
    return ScalarMappable(Normalize(low, high), colours)


def over_grey(
    picture: Shaped[np.ndarray, "height width 3"],
    values: Float[np.ndarray, "height width"],
    colours: ScalarMappable,
    share: Float[np.ndarray, "height width"],
) -> Float[np.ndarray, "height width 3"]:
    """Values as colours over a grey picture: the lower end of the scale leaves the picture as it is, the upper covers it.

    Args:
        picture: RGB, 0 to 255.
        values: what is shown.
        colours: its scale.
        share: how much there is to cover in each pixel, 0 to 1.

    Returns:
        RGB in [0, 1].
    """
    grey = (picture @ _GREY)[..., None] / 255 * 0.75
    strength = np.sqrt(np.clip(np.asarray(colours.norm(values)), 0, 1)) * share
    return np.asarray(grey + strength[..., None] * (colours.to_rgba(values)[..., :3] - grey), dtype=np.float32)
