"""The tables of the study: one object each. Which rule makes it, how it is built, its caption, and its place in the
report follow from it; rules, scripts, the report and Snakemake's own report read them here.

To add one: a function that builds it, in a file of its own or one that fits, and its object in TABLES, where it stands
in the order of the report. Nothing that computes is imported before a table is built, as the workflow reads this file
each time it starts.
"""

from collections.abc import Mapping
from functools import partial

from understudy.evaluate.metrics import DISTANCE, METRIC, METRICS, OVERLAP, Metric
from understudy.study.experiment_registry import EXPERIMENTS, Experiment
from understudy.study.grid import sources

from .patient_tables import OF_PATIENTS
from .table_entry import Table
from .table_entry import function as function  # part of this module for its readers

# ---- per-volume metrics ----------------------------------------------------------------------------------------------

OVER_REPEATS = (
    "mean ± standard deviation over the repeats; `mean` is {mean}. 95 %: interval over subjects and repeats; median: "
    "of the repeats. Of every label they are in the CSV."
)
MEANS = {
    True: "over the labels of each subject, then over subjects",  # subjects_first
    False: "the average of the labels",
}


of_scores = partial(Table, rule="make_tables", section="tables", concludes=True)


def of_labels(metric: Metric) -> Table:
    return of_scores(
        metric.name,
        title=metric.title,
        caption=f"{metric.quantity}, {OVER_REPEATS.format(mean=MEANS[metric.subjects_first])}",
        built_by="score_tables:of_labels",
        of=lambda study: (study, metric.name),
        decimals=metric.decimals,
        noted_by={OVERLAP: "notes:of_labels", DISTANCE: "notes:of_distances"}.get(metric.undefined_as, ""),
        folded=metric.name != "dice",
    )


def of_regions(name: str, title: str, quantity: str, metric: Metric) -> Table:
    return of_scores(
        name,
        title=title,
        caption=f"{quantity}, mean ± standard deviation over the repeats.",
        built_by="score_tables:of_regions",
        of=lambda study: (study, metric.name),
        decimals=metric.decimals,
        noted_by="notes:of_regions",
    )


SCORES = [
    of_labels(METRIC["dice"]),
    of_scores(
        "equivalence",
        title="As good as real images?",
        caption="Is training on it as good as training on real images with augmentation? Difference of mean Dice "
        "with its 90 % interval. `p`: two one-sided tests against the margin; `p beyond`: a difference beyond it. "
        "`p Holm` corrects the smaller one for the number of primary comparisons, which were named beforehand (config "
        "`evaluation.primary`), or of exploratory ones, which can suggest but not show. Undecided: too few subjects "
        "or repeats to say. `false claim`: the probability that the verdict is false, given these scores alone (flat "
        "prior, Student's t), not corrected for the number of claims. `trainings`: of each generator behind a row.",
        built_by="comparisons:equivalence",
        of=lambda study: (study.dice, study.margin, study.trainings, study.primary, study.far, study.over_looks),
        noted_by="notes:of_equivalence",
        folded=False,
    ),
    of_scores(
        "stops",
        title="When trainings stopped",
        caption="After how many of the planned repeats each primary comparison was decided or was given up as futile. "
        "Futile: even all repeats would decide it with a probability of less than 2 %. `failed`: failed trainings "
        "among those compared, on this training set and on real images.",
        built_by="stopping:stops",
        of=lambda study: (study.decisions, study.looks, study.table("equivalence")),
        decimals=0,
        concludes=False,
    ),
    of_scores(
        "power",
        title="What could have been found?",
        caption="`power if equal`: how likely a primary comparison finds a training set equivalent that is as good as "
        "real images, by the study's own standard deviations. The next columns say what a power of 80 % takes: the "
        "largest true difference, the largest deviation of the difference by subject, or the number of subjects or "
        "columns alone. Columns are repeats, or trainings of a generator that has several. All values are for the "
        "first, strictest step of Holm's correction. `looks`: if repeats are added in looks, `power if equal` is that "
        "of all looks together, and the values for 80 % are those of the last look.",
        built_by="power_table:power_table",
        of=lambda study: (study.dice, study.margin, study.primary, study.looks),
    ),
    of_scores(
        "relative_dice",
        title="Relative Dice",
        caption="Mean Dice in percent of the Dice of the same network trained on real images with augmentation, with "
        "the 95 % interval over subjects and repeats of both.",
        built_by="score_tables:relative_dice",
        of=lambda study: (study.table("dice"), study.dice, study.published),
        decimals=2,
        folded=False,
    ),
    of_scores(
        "ranking",
        title="Ranking of the generators",
        caption="Ranks of the generators, 1 is best, by training on their images alone. `criteria`: how many ranks the "
        "mean is taken over. `rank in 95 %` and `first`: the rank in 95 % of the bootstrap draws of subjects and "
        "repeats, and the share of draws in which a generator is best.",
        built_by="ranking:beside_published",
        of=lambda study: (study.criteria, study.drawn, study.published),
        decimals=2,
    ),
    of_scores(
        "comparisons",
        title="Paired comparisons",
        caption="Exploratory: differences of mean Dice on the same test subjects, with 95 % interval; `p Holm` is "
        "corrected for the number of comparisons of the same question, data set and segmenter; `false claim`: the "
        "probability that the one with the higher Dice is no better (flat prior, Student's t). What was asked "
        "beforehand is in the table of equivalence.",
        built_by="comparisons:comparisons",
        of=lambda study: (study.dice, study.trainings, study.far),
    ),
    *[of_labels(metric) for metric in METRICS if metric.name != "dice"],
    of_regions("regions", "Dice of regions", "Dice of the regions", METRIC["dice"]),
    of_regions(
        "regions_hausdorff95",
        "95th percentile of the Hausdorff distance of regions",
        "95th percentile of the Hausdorff distance of the regions in mm",
        METRIC["hausdorff95"],
    ),
    of_scores(
        "correlations",
        title="Do metrics of the images predict use?",
        caption="Rank correlation over the generators of a metric of the images with the Dice of segmenters that "
        "were trained on them alone. p is exact: all orders are counted.",
        built_by="correlations:correlations",
        of=lambda study: (study.criteria, study.fidelity, study.published),
        decimals=2,
        noted_by="notes:power",
    ),
    of_scores(
        "controls",
        title="Controls",
        caption="Do the numbers behave where the answer is known? Copies of the training images have to be as useful "
        "as real ones; noise and shuffled annotations of little use. `interval`: 95 % interval of the Dice.",
        built_by="controls:controls",
        of=lambda study: (study.dice, study.margin, study.ceiling, study.draws),
        concludes=False,
    ),
    of_scores(
        "empties",
        title="Empty labels",
        caption="In how many of the scored volumes a label is missing from both, from the reference, or from the "
        "prediction alone, over all repeats.",
        built_by="score_tables:empties",
        of=lambda study: (study.scores,),
        decimals=0,
        concludes=False,
    ),
    of_scores(
        "failures",
        title="Failed trainings",
        caption="The trainings that collapsed or diverged, and why. They count in all other tables by what they find, "
        "with Dice 0 where they have left no network.",
        built_by="failed_trainings:failures",
        of=lambda study: (study.scores,),
        decimals=0,
        section="failed",
        concludes=False,
    ),
    of_scores(
        "without_failed",
        title="With and without failed trainings",
        caption="Mean Dice, and difference from real images with augmentation with its 90 % interval, of all trainings "
        "and `without failed` ones. The study's verdict includes all trainings: anyone who trains again may meet a "
        "collapse, too.",
        built_by="failed_trainings:beside_survivors",
        section="failed",
    ),
    Table(
        "missing",
        title="Trainings without scores",
        caption="The trainings that the means of the other tables do not include, and why.",
        rule="tables_so_far",
        built_by="missing:missing_trainings",
        of=lambda material: material,
        decimals=0,
        when=lambda config: False,  # no study has it as a file to wait for: make_tables waits for all trainings
    ),
]


# ---- experiments -----------------------------------------------------------------------------------------------------

POINTS = (
    "mean ± standard deviation over the repeats, 95 % interval over subjects and repeats; `change`: since the row "
    "above, with its 95 % interval."
)
WORTH = (
    " `worth`: number of real subjects that alone reach the same Dice; 0: fewer than the smallest number that was "
    "tried; inf: more than the largest."
)


FROM_OWN = (
    " `from own`: the difference from the site's own real images alone, over the same test subjects, with its 95 % "
    "interval. `generator`: whose images, `-from-` the site that shares them."
)


ALONG = (
    " `kimg`: thousand images that the generator had been trained on. The columns after it are metrics of the images "
    "that it drew then, by feature space and channel, against the real training images."
)


def of_experiment(experiment: Experiment) -> Table:
    return Table(
        experiment.name,
        title=experiment.title,
        caption=f"Mean Dice by {experiment.by}, {POINTS}"
        f"{WORTH * experiment.of_patients}{FROM_OWN * experiment.of_sites}{ALONG * experiment.of_training}",
        rule="compare_experiment",
        built_by="experiment_tables:experiment_table",
        of=lambda m: (m.name, m.curves, m.cells, m.repeats, m.draws, m.subjects, m.along),
        noted_by="experiment_sentences:note",
        when=lambda config: bool(config["experiments"].get(experiment.name, {}).get("generators")),
        section="experiments",
        concludes=True,
    )


# ---- images, generators, readers -------------------------------------------------------------------------------------


def has_images(config: Mapping) -> bool:
    return bool(sources(config))


def has_answers(config: Mapping) -> bool:
    return bool(config["reader_study"]["generators"] and config["reader_study"]["answers"])


IMAGES = [
    Table(
        "audit",
        title="Copies of patients?",
        caption="Are images copies of training images? `flagged`: nearer to a training image, in any view, than real "
        "images of other people are, with the 95 % interval; `copies`: far nearer than any of those; `seen in`: which "
        "views flagged them; `dropped before`: copies that a filter had taken out; `membership AUC`: how well the "
        "images tell training subjects from others, 0.5 is chance; `training subjects found`: by an attacker who "
        "accuses 1 % of others wrongly; `annotation's place`, `size`: how much better an attacker who knows the rest "
        "of the image guesses them for training subjects; `recall`: of copies that were planted in disguise. "
        "`cannot say`: too few subjects, or copies would have been missed.",
        rule="compare_audits",
        built_by="audits:audit_table",
        decimals=0,
        when=has_images,
    ),
    Table(
        "fidelity",
        title="How real the images look",
        caption="Against the real training images. `frechet`: of all images; `frechet_matched`: of equally many images "
        "in every row and on both sides, to compare with the row `real (test)`. Lower is nearer for both and for "
        "`kernel`. 95 %: interval of `frechet` over subjects, of synthetic images over images. `nearer than test`: "
        "nearer to the training images than real test images are; no generator should be. An asterisk: not to be "
        "compared with values elsewhere, for the reason in `note`.",
        rule="compare_fidelity",
        built_by="fidelity_table:fidelity",
        of=lambda material: material,
        shown_by="fidelity_table:fidelity_shown",
        when=has_images,
    ),
    Table(
        "annotation",
        title="How real the annotations look",
        caption="Annotations: real training images (`real`), real test images (`real_test`) and each generator's. "
        "Pairs of classes are written label/label. `ks`: Kolmogorov-Smirnov distance to `real`.",
        rule="compare_fidelity",
        built_by="fidelity_table:annotation",
        of=lambda material: material,
        shown_by="fidelity_table:annotation_shown",
        when=has_images,
    ),
    Table(
        "generators",
        title="Were the generators treated alike?",
        caption="Every option in which the generators differ; options with the same value for all are left out. "
        "`device hours`: of training, on all its GPUs.",
        rule="compare_generators",
        built_by="generator_differences:generator_differences",
        of=lambda material: material,
        decimals=0,
        when=lambda config: bool(config["generators"]),
    ),
]
CHALLENGE = [
    Table(
        "leaderboard",
        title="Leaderboard",
        caption="The entries of a challenge, ranked by the Dice of networks trained on their images alone, on patients "
        "whom no entry has seen. `rank in 95 %` and `first`: the rank in 95 % of the bootstrap draws of subjects and "
        "repeats, and the share of draws in which an entry is best. `better than`: entries that it is better than with "
        "every network (`p Holm` of the paired comparisons under 0.05). `dice`: mean of the networks, `%`: of real "
        "images. `useful`: as useful as real images, by the table of equivalence. `audit`: are the images copies of "
        "patients? An entry that fails is disqualified and has no rank; `flagged` counts its images that are nearer "
        "to a patient's than images of other people are. `frechet matched`: distance from real images in each feature "
        "space, lower is nearer.",
        rule="make_leaderboard",
        built_by="leaderboard:leaderboard",
        when=lambda config: bool(config["imports"]),
    ),
]
of_answers = partial(
    Table,
    rule="read_answers",
    of=lambda reading: (reading.answers, reading.published),
    decimals=2,
    noted_by="notes:unanswered",
    when=has_answers,
    section="readers",
)
READERS = [
    of_answers(
        "reader_summary",
        title="Could they tell?",
        caption="Could they tell? Balanced accuracy: mean of the right shares of real and of synthetic images, 0.5 is "
        "chance, with its 95 % interval (of all readers: for other readers and images like these). `majority`: "
        "accuracy of giving every image the majority's label. Sensitivity index: d', 0 is chance. Chi squared: are all "
        "sources called real equally often?",
        built_by="reader_tables:reader_summary",
    ),
    of_answers(
        "readers",
        title="What they called the images",
        caption="What readers called the images of each source, with the 95 % interval of the share called "
        "synthetic. p: is it another share than of real images (Fisher's exact test; of all readers together, "
        "permuted images), corrected for the number of generators (Holm).",
        built_by="reader_tables:readers",
    ),
    of_answers(
        "reader_areas",
        title="By confidence",
        caption="How well the readers' confidence tells each generator's images from real ones: area under "
        "the ROC curve, 0.5 is chance, with its 95 % interval, and the balanced accuracy of the calls alone.",
        built_by="reader_tables:reader_areas",
        of=lambda reading: (reading.answers,),
    ),
    of_answers(
        "reader_agreement",
        title="Did they agree?",
        caption="Equal calls of two readers (Cohen's kappa), of more (Fleiss'), and of one reader who saw "
        "an image twice; kappa is 0 where they agree as often as by chance. 95 % intervals over images.",
        built_by="reader_tables:reader_agreement",
        of=lambda reading: (reading.answers,),
    ),
    Table(
        "reader_plan",
        title="How many images and readers",
        caption="How many images of each source a reader study needs, and how many its page then has: for a 95 "
        "% interval of balanced accuracy as narrow as was asked for, and to tell the accuracy that was asked for from "
        "chance. `planned`: what the images of the config would show.",
        rule="read_answers",
        built_by="reader_size:reader_plan",
        of=lambda reading: (reading.options,),
        decimals=2,
        when=lambda config: bool(config["reader_study"]["generators"]),
        section="readers",
    ),
]

OF_EXPERIMENTS = [of_experiment(experiment) for experiment in EXPERIMENTS.values()]
TABLES = {table.name: table for table in [*SCORES, *OF_PATIENTS, *OF_EXPERIMENTS, *IMAGES, *CHALLENGE, *READERS]}


def tables_of(config: Mapping) -> list[Table]:
    """Those that the study of a validated config has, in the order of the report."""
    return [table for table in TABLES.values() if table.when(config)]


def made_by(rule: str, config: Mapping | None = None) -> list[Table]:
    """The tables of a rule; with a config, those that its study has."""
    return [table for table in (TABLES.values() if config is None else tables_of(config)) if table.rule == rule]


def shown_in(section: str) -> list[Table]:
    """The tables that a section of the report lists."""
    return [table for table in TABLES.values() if table.section == section]
