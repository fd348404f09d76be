"""What every figure about generators says of itself, as it may be shown without its caption."""


def note_trainings(figure, generator_seeds: int):
    """The figure, with a line on how often each generator was trained; 0: there is no generator to speak of."""
    if generator_seeds:
        times = f"{generator_seeds} times" if generator_seeds > 1 else "once: about these images, not the generator"
        figure.text(0.995, -0.01, f"each generator was trained {times}", ha="right", va="top", fontsize=7, color="0.35")
    return figure
