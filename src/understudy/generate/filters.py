"""The low-pass filters of StyleGAN 3, from their design equations.

Karras et al., "Alias-Free Generative Adversarial Networks", NeurIPS 2021, section 3 and appendix C: an ideal low-pass
filter, limited by a Kaiser window. Frequencies are in cycles per image, so that one design serves every size. A filter
is given by its cutoff, by the half-width of its transition band, and by the sampling rate that it works at.
"""

import math

import numpy as np
from scipy.special import j1


def kaiser_beta(taps: int, half_width: float, rate: float) -> float:
    """Shape of the window with which `taps` taps have a transition band of twice `half_width` (Kaiser's formulas: the
    attenuation in dB that this number of taps reaches, then the shape for it)."""
    attenuation = 2.285 * (taps - 1) * math.pi * (2 * half_width) / (rate / 2) + 7.95
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def lowpass(taps: int, cutoff: float, half_width: float, rate: float) -> np.ndarray:
    """(taps,) of sum 1: a sinc, the ideal low-pass filter of one dimension, times a Kaiser window."""
    position = np.arange(taps) - (taps - 1) / 2
    f = np.sinc(2 * cutoff / rate * position) * np.kaiser(taps, kaiser_beta(taps, half_width, rate))
    return f / f.sum()


def radial_lowpass(taps: int, cutoff: float, half_width: float, rate: float) -> np.ndarray:
    """(taps, taps) of sum 1: a jinc, the ideal low-pass filter of the plane that knows no direction (configuration R),
    times the outer product of the Kaiser windows."""
    position = (np.arange(taps) - (taps - 1) / 2) / rate
    r = np.hypot(position[:, None], position)
    r = np.maximum(r, 1e-9 / rate)  # jinc goes to pi cutoff^2 at the centre, where an odd number of taps has one
    window = np.kaiser(taps, kaiser_beta(taps, half_width, rate))
    f = j1(2 * np.pi * cutoff * r) / (np.pi * r) * np.outer(window, window)
    return f / f.sum()


def separable_terms(f: np.ndarray, tolerance: float = 1e-6) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (vertical, horizontal) of filters whose outer products add up to f; one for a separable f (taps,).

    A radial filter is symmetric, so that its eigenvectors are such filters. Windowed it is nearly separable: two to
    four terms of twelve are above the tolerance, which is relative: what is left out is 120 dB below the signal.
    """
    if f.ndim == 1:
        return [(f, f)]
    values, vectors = np.linalg.eigh(f)
    largest = np.abs(values).max()
    order = np.argsort(-np.abs(values))
    return [(values[i] * vectors[:, i], vectors[:, i]) for i in order if abs(values[i]) > tolerance * largest]
