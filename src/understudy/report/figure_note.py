"""The line that every figure about generators carries, because a figure may be shown without its caption."""


def note_trainings(figure, generator_seeds: int):
    """The figure, with a line on how often each generator was trained; 0: there is no generator to speak of."""
    if generator_seeds:
        times = f"{generator_seeds} times" if generator_seeds > 1 else "once: about these images, not the generator"
        # above: a legend stands at the bottom of whatever is saved
        figure.text(0.995, 1, f"each generator was trained {times}", ha="right", va="bottom", fontsize=7, color="0.35")
    return figure
