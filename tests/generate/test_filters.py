"""Low-pass filters against the taps of the original, SciPy's design, and what makes them low-pass."""

import numpy as np
import pytest
from scipy.signal import firwin

from understudy.generate.filters import kaiser_beta, lowpass, radial_lowpass, separable_terms
from understudy.generate.stylegan3 import Options
from understudy.generate.stylegan3_networks import Generator, signals

# taps, (cutoff, half-width, rate), shape of the window, first half of the taps
ORIGINAL = [
    (12, (2, 6, 32), 6.443719, ".0007919021 .0100183182 .0389495225 .0924127899 .1565256153 .201301852"),
    (12, (2.828427, 5.171573, 32), 5.542615, ".0001395971 .0066801887 .0337127847 .0893862344 .1598048363 .2102763587"),
    (12, (4, 4, 32), 4.249203, "-.0038537279 -.0061462507 .0153733492 .0796486527 .1723518954 .2426260813"),
    (
        *(12, (45.254834, 18.745166, 256), 2.266763),
        "-.0037311941 -.0371524111 -.0441538472 .0390284866 .2037079572 .3423010087",
    ),
    (
        *(12, (128, 29.586485, 512), 1.540115),
        ".0233742473 .0344492954 -.0508806971 -.0786152345 .1396104439 .432061945",
    ),
    (
        *(24, (4, 4, 64), 4.448364),
        "-.0016382827 -.0030552906 -.0037151581 -.0021453645 .0033123277 .0139820804 "
        ".0302836239 .0513123662 .0747529026 .0972161372 .1149508008 .1247438571",
    ),
    (
        *(24, (45.254834, 18.745166, 512), 2.409265),
        ".000955774 -.0055609209 -.0143647512 -.0222239388 -.0245372703 -.0166997837 "
        ".0041653229 .0377266513 .0798300626 .1231071926 .1587382641 .1788633974",
    ),
]


@pytest.mark.parametrize(("taps", "design", "beta", "half"), ORIGINAL)
def test_taps_are_those_of_the_original(taps, design, beta, half):
    assert kaiser_beta(taps, *design[1:]) == pytest.approx(beta, abs=2e-6)
    f, half = lowpass(taps, *design), np.array(half.split(), float)
    np.testing.assert_allclose(f, np.concatenate((half, half[::-1])), atol=2e-8)


@pytest.mark.parametrize("taps", [12, 13, 24])
@pytest.mark.parametrize("design", [(2, 6, 32), (4, 1, 32), (10, 0.2, 64)])  # all three branches of Kaiser's formulas
def test_design_is_the_windowed_sinc_of_scipy(taps, design):
    cutoff, half_width, rate = design
    np.testing.assert_allclose(lowpass(taps, *design), firwin(taps, cutoff, width=2 * half_width, fs=rate), atol=1e-15)


@pytest.mark.parametrize("variant", ["t", "r"])
@pytest.mark.parametrize("size", [16, 32, 256])
def test_every_filter_has_unit_response_at_dc_and_is_symmetric(variant, size):
    options = Options(variant=variant, channel_base=1024, channel_max=2, latent_size=2)
    layers = Generator(1, size, options).blocks[:-1]
    assert len(layers) == 14
    for i, layer in enumerate(layers):
        up, down = np.array(layer.form.up_taps), np.array(layer.form.down_taps)
        assert down.ndim == (2 if variant == "r" and i < 12 else 1)
        for f in (up, down):
            assert f.sum() == pytest.approx(1, abs=1e-12)
            np.testing.assert_allclose(f, np.flip(f), atol=1e-15)


def test_filters_pass_the_signal_and_stop_what_would_alias():
    """Of layers whose transition band fits: unity below the cutoff's near side, at least 30 dB down beyond the band."""
    for s in signals(256, Options())[:9]:
        rate = 2 * s.rate
        f = lowpass(12, s.cutoff, s.half_width, rate)
        frequency = np.array([0.2 * s.cutoff, s.cutoff + s.half_width, 0.45 * rate])
        position = np.arange(12) - 5.5
        response = np.abs(np.exp(-2j * np.pi * frequency[:, None] / rate * position) @ f)
        assert response[0] > 0.9 and response[1] < 10 ** (-30 / 20) and response[2] < 10 ** (-30 / 20), s


def test_radial_filter_knows_no_direction():
    f = radial_lowpass(12, 16, 16, 128)
    assert f.sum() == pytest.approx(1) and np.allclose(f, f.T) and np.allclose(f, np.rot90(f))
    position = (np.arange(12) - 5.5) / 128

    def response(frequency, angle):
        x, y = frequency * np.cos(angle), frequency * np.sin(angle)
        return (f * np.cos(2 * np.pi * (y * position[:, None] + x * position))).sum()

    separable = np.outer(*[lowpass(12, 16, 16, 128)] * 2)
    for frequency in (8, 16, 24):
        spread = np.ptp([response(frequency, angle) for angle in np.linspace(0, np.pi / 4, 9)])
        assert spread < 0.01
    f = separable
    assert np.ptp([response(24, angle) for angle in np.linspace(0, np.pi / 4, 9)]) > 0.05


def test_radial_filter_has_its_limit_at_the_centre():
    f = radial_lowpass(13, 4, 4, 32)
    window = np.kaiser(13, kaiser_beta(13, 4, 32))
    r = 1 / 32
    a = np.pi * 4 * r
    jinc = 1 - a**2 / 2 + a**4 / 12 - a**6 / 144  # 2 J1(2 a) / (2 a), as a series
    assert f[6, 7] / f[6, 6] == pytest.approx(jinc * window[7], rel=1e-3)


@pytest.mark.parametrize("design", [design for _, design, _, _ in ORIGINAL])
def test_terms_add_up_to_the_filter(design):
    f = radial_lowpass(12, *design)
    terms = separable_terms(f)
    assert 2 <= len(terms) <= 5
    np.testing.assert_allclose(
        sum(np.outer(a, b) for a, b in terms), f, atol=1e-6 * np.abs(np.linalg.eigvalsh(f)).max()
    )
    ((a, b),) = separable_terms(lowpass(12, *design))
    np.testing.assert_array_equal(a, b)
