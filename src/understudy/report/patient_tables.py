"""The tables about patients: who segmenters work for, whether they know when they are wrong, how they do together, and
at other hospitals."""

from .table_entry import Table


def of_patients(name: str, **about) -> Table:
    """One that a study has where `evaluation` asks for what it is called by."""
    return Table(
        name,
        rule=f"compare_{name}",
        when=lambda config: bool(config["evaluation"][name]),
        concludes=True,
        **about,
    )


OF_PATIENTS = [
    of_patients(
        "strata",
        title="Who it works for",
        caption="Mean Dice by group of the test subjects (`stratum`, `group`): mean ± standard deviation over the "
        "repeats and its 95 % interval over the subjects of the group and repeats. `worst`: the group of the lowest "
        "Dice; of several groups the worst one looks worse than it is, by chance. `too few`: too few subjects to "
        "compare. Numbers are cut at stated points or at terciles of the test subjects.",
        built_by="strata:strata_table",
        shown_by="strata:strata_parts",
    ),
    of_patients(
        "calibration",
        title="Do they know when they are wrong?",
        caption="Expected calibration error (`ece`): the mean difference between how sure a network is and how often "
        "it is right, in 10 bins, of the voxels where it or the reference has a label: mean ± standard deviation over "
        "the repeats. `overconfidence`: confidence minus accuracy; above 0, the network is overconfident.",
        built_by="reliability:calibration_table",
    ),
    of_patients(
        "network_ensembles",
        title="The networks of all repeats as one",
        caption="Mean Dice of an ensemble (`dice`), which averages the softmaxes of the networks of all repeats, "
        "beside that of each of them alone: mean ± standard deviation over the repeats. `gain`: the difference with "
        "its 95 % interval over the test subjects. Another set of networks is not in that interval. A training that "
        "failed counts in both: alone and in the ensemble it finds background only (`failed`).",
        built_by="network_ensembles:network_ensembles_table",
    ),
    of_patients(
        "external",
        title="Other hospitals' patients",
        caption="Dice on the test subjects of another data set (`tested on`), whom neither the network nor its "
        "generator has seen: mean ± standard deviation over the repeats; `mean` is the average of the labels. `from "
        "own`: the difference from the same network trained on real images of the data set that is tested, with "
        "augmentation, over the same subjects, with its 95 % interval.",
        built_by="external:external_table",
    ),
]
