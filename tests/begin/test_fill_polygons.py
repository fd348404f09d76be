"""Pixels inside polygons: by their centres, by even-odd, and each once where polygons meet."""

import numpy as np

from understudy.begin.fill_polygons import filled

SHAPE = (40, 30)
X, Y = np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij")


def box(x0, y0, x1, y1):
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)


def inside(x0, y0, x1, y1):
    return (x0 <= X) & (x1 > X) & (y0 <= Y) & (y1 > Y)


def circle(x, y, radius, points=720):
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def test_a_circle_takes_the_centres_in_it():
    for x, y, radius in [(19.3, 14.8, 11.37), (5.2, 27.1, 9.03)]:  # the second reaches beyond the image
        found = filled([circle(x, y, radius)], SHAPE)
        np.testing.assert_array_equal(found, (X - x) ** 2 + (Y - y) ** 2 < radius**2)


def test_a_rectangle_and_its_edges():
    for corners in [(2.5, 3.5, 10.5, 8.5), (2, 3, 10, 8), (-5, -5, 3.2, 90)]:
        for polygon in (box(*corners), box(*corners)[::-1]):
            np.testing.assert_array_equal(filled([polygon], SHAPE), inside(*corners))


def test_a_polygon_in_another_is_a_hole_and_so_is_a_keyhole():
    expected = inside(2.5, 3.5, 30.5, 20.5) & ~inside(10.5, 8.5, 20.5, 15.5)
    outer, inner = box(2.5, 3.5, 30.5, 20.5), box(10.5, 8.5, 20.5, 15.5)
    np.testing.assert_array_equal(filled([outer, inner], SHAPE), expected)
    keyhole = np.concatenate([outer, outer[:1], inner, inner[:1]])  # in along a diagonal, and back the same way
    np.testing.assert_array_equal(filled([keyhole], SHAPE), expected)


def test_triangles_that_share_edges_share_no_pixel_and_leave_none_out():
    host = np.random.default_rng(0)
    centre, corners = host.uniform(8, 20, 2), circle(20, 15, 14, 11)
    parts = [
        np.stack([centre, a, b][:: host.choice([-1, 1])]) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)
    ]
    found = sum(filled([part], SHAPE).astype(int) for part in parts)
    np.testing.assert_array_equal(found, filled([corners], SHAPE).astype(int))


def test_a_line_and_a_point_have_nothing_inside():
    assert not filled([np.array([[3.0, 4]]), np.array([[1.0, 1], [9, 20]])], SHAPE).any()
