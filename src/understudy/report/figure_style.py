"""The common style of the figures: one width, one font size, no superfluous frames."""

WIDTH = 6.3  # inches: two columns of a journal, and letters that can still be read on a phone
LETTERS, SMALL = 8.5, 7.5  # points
GUIDE = "0.45"  # of a line to compare with
FAINT = "0.9"  # of a grid


def plain_axis(axis) -> None:
    """Without a frame, but for the line that has the numbers; a row of names needs no ticks."""
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0, labelsize=LETTERS)
    axis.tick_params(axis="x", labelsize=SMALL)
    axis.grid(axis="x", color=FAINT, linewidth=0.7)
    axis.set_axisbelow(True)
