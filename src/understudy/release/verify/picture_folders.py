"""images/: the pictures of images.zip as a folder for each channel, and the table of them."""

import os

from .image_archive import images_of
from .listed_files import path_of, shown
from .png_filters import holds_part
from .png_pixels import most_bytes, png_problem, rows_of

TABLE = "images/metadata.csv"


def table_of_pictures(channels, names):
    """The text of images/metadata.csv: a row for each image, a column for each channel. Loaders of image folders read
    a column whose name ends with file_name as pictures."""
    rows = [[channel + "_file_name" for channel in channels]]
    rows += [[channel + "/" + name for channel in channels] for name in names]
    return "".join(",".join(row) + "\n" for row in rows)


def folder_problems(folder, found, names, about):
    """A line for each PNG outside of the archive that is none of its images, or is not pixels alone."""
    expected = {f"images/{channel}/{name}" for channel in about["channels"] for name in names}
    text = table_of_pictures(about["channels"], names).encode()
    problems = [f"{shown(name)}: is no image of images.zip" for name in found if name not in expected | {TABLE}]
    if TABLE not in found or os.path.getsize(path_of(folder, TABLE)) != len(text):
        problems.append(f"{TABLE}: is not the list of these images")
    else:
        with open(path_of(folder, TABLE), "rb") as file:
            problems += [] if file.read() == text else [f"{TABLE}: is not the list of these images"]
    problems += [f"{shown(name)}: is missing, images.zip has it" for name in sorted(expected - set(found))]
    most = most_bytes(about["height"], about["width"])
    for name in sorted(expected & set(found)):
        with open(path_of(folder, name), "rb") as file:
            png = file.read(most + 1)
        problem = png_problem(png, about["height"], about["width"]) if len(png) <= most else "is too large"
        problems += [f"{shown(name)}: {problem}"] if problem else []
    return problems


def picture_problems(folder, about):
    """A line for each picture that is not the pixels of its channel in images.zip; where nothing else is wrong."""
    problems = []
    for image, png in images_of(os.path.join(folder, "images.zip"), about):
        whole = rows_of(png)
        for i, channel in enumerate(about["channels"]):
            name = f"images/{channel}/{image}"
            with open(path_of(folder, name), "rb") as file:
                if not holds_part(whole, rows_of(file.read()), i * about["height"], about["width"]):
                    problems.append(f"{shown(name)}: has other pixels than {image} of images.zip")
    return problems
