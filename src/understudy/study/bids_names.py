"""What modalities are called, and under which names their synthetic images stand in a BIDS data set.

It is a part of the program that receivers of a release run: Python 3.8, nothing to install.
Names    https://bids-specification.readthedocs.io/en/v1.10.0/modality-specific-files/magnetic-resonance-imaging-data.html
"""

# as common data sets call them; in the order of config `images.channels`
MODALITIES = {
    "t1": {"t1", "t1w", "t1n", "t1pre", "mprage"},
    "t1ce": {"t1ce", "t1c", "t1gd", "t1post", "t1km"},
    "t2": {"t2", "t2w"},
    "flair": {"flair", "t2f", "t2flair"},
}
BIDS_FOLDER = "bids"
SUBJECT = "sub-synthetic"  # a label of letters and digits, which no subject's number can be taken for
_ANNOTATION = {"seg": ("", "dseg")}
_MODALITIES = {"t1": ("", "T1w"), "t1ce": ("ce-gadolinium_", "T1w"), "t2": ("", "T2w"), "flair": ("", "FLAIR")}
_NAMES = {word: _MODALITIES[modality] for modality, words in MODALITIES.items() for word in words}
_NAMES.update(_ANNOTATION)


def bids_suffix(channel):
    """T1w, T2w, FLAIR, or dseg of the annotation; None where BIDS has no suffix that we know."""
    return _NAMES.get(channel.lower(), (None, None))[1]


def bids_volume(channel, number):
    """The file in the folder of a release that has a channel of image `number`, digits; the channel has a suffix."""
    entities, suffix = _NAMES[channel.lower()]
    subject = SUBJECT + number
    return f"{BIDS_FOLDER}/{subject}/anat/{subject}_{entities}desc-synthetic_{suffix}.nii.gz"


def bids_problem(channels):
    """Why images of these channels are no BIDS data set, in one line; None where they are."""
    unknown = [channel for channel in channels if bids_suffix(channel) is None]
    if unknown:
        return f"BIDS has no suffix for {', '.join(unknown)}; it has some for {', '.join(MODALITIES)} and seg"
    if len({bids_volume(channel, "") for channel in channels}) < len(channels):
        return f"two of {', '.join(channels)} have one name in BIDS"
    return None
