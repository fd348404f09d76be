# report: scores and examples -> tables and figures.
import json

from understudy.study.experiment_registry import EXPERIMENTS as ABOUT
from understudy.study.experiment_registry import curves
from understudy.study.grid import FIGURE_REPEATS, base_sources, settings_of
from understudy.study.grid import without_controls

FIDELITY_TABLE = [in_results("tables/fidelity.csv")] if SOURCES else []
SNAPSHOTS_TABLE = (
    [in_results("tables/snapshots.csv")] if "snapshots" in EXPERIMENTS else []
)

EXTERNAL = config["evaluation"]["external"]
STRATA = config["evaluation"]["strata"]
CALIBRATION = config["evaluation"]["calibration"]
ENSEMBLES_OF_NETWORKS = config["evaluation"]["network_ensembles"]
DATASETS_WITH_ATTRIBUTES = {
    name: NAMED["datasets"][name] | {"attributes": dataset["attributes"]}
    for name, dataset in config["datasets"].items()
}

FIGURES = (
    ["samples"] * bool(base_sources(config))
    + [f"predictions_{segmenter}" for segmenter in config["segmenters"]]
    + ["dice"]
    + ["fidelity_dice"] * bool(SOURCES)
)


rule record_config:
    output:
        STUDY,
    log:
        in_logs("record_config.log"),
    benchmark:
        in_benchmarks("record_config.tsv")
    retries: 0
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        # in the order of its keys, which is that of tables; of a plain text Snakemake would fill in {subject}
        config=lambda w: json.dumps(config),
    shell:
        'python "$UNDERSTUDY/scripts/record_config.py" --config {params.config:q} --output {output:q}'
        " > {log:q} 2>&1"


def scores_at_look(wildcards):
    """Of what looks decide about, with the repeats that are there at this one."""
    return files_of(
        "scores.csv", with_looks(primary_settings(config), int(wildcards.look))
    )


# which primary comparisons go on to the next look; a single look needs no decision
checkpoint decide_look:
    input:
        scores=scores_at_look,
    output:
        look_file(config["results"], "{look}"),
    log:
        in_logs("decide_look/{look}.log"),
    benchmark:
        in_benchmarks("decide_look/{look}.tsv")
    wildcard_constraints:
        look=one_of(map(str, range(1, len(LOOKS)))),
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=asked(),
    shell:
        'python "$UNDERSTUDY/scripts/decide_look.py" --config {params.config:q} --look {wildcards.look:q}'
        " --output {output:q} > {log:q} 2>&1"


rule make_tables:
    input:
        scores=every("scores.csv", GRID),
        fidelity=FIDELITY_TABLE,
    output:
        tables_made_by("make_tables"),
    log:
        in_logs("make_tables.log"),
    benchmark:
        in_benchmarks("make_tables.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=asked(),
        fidelity=option("--fidelity", FIDELITY_TABLE),
        output=subpath(output[0], parent=True),
    shell:
        'python "$UNDERSTUDY/scripts/make_tables.py" --config {params.config:q} {params.fidelity:q}'
        " --output {params.output:q} > {log:q} 2>&1"


rule compare_generators:
    input:
        manifests=expand(
            in_generator("{manifest}.json"),
            dataset=config["datasets"],
            generator=config["generators"],
            manifest=["weights", "samples"],
        ),
    output:
        tables_made_by("compare_generators"),
    log:
        in_logs("compare_generators.log"),
    benchmark:
        in_benchmarks("compare_generators.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=json.dumps(
            {**NAMED, "datasets": dict.fromkeys(config["datasets"], {}), "imports": {}}
        ),
        output=subpath(output[0], parent=True),
    shell:
        'python "$UNDERSTUDY/scripts/compare_generators.py" --config {params.config:q} --output {params.output:q}'
        " > {log:q} 2>&1"


def attribute_files():
    """What is known of test subjects: the index of every dataset, and the user's files."""
    named = [dataset["attributes"] for dataset in config["datasets"].values()]
    index = expand(in_dataset("subjects.csv"), dataset=config["datasets"])
    return index + [file for file in named if file]


# who it works for: Dice by group of the test subjects
rule compare_strata:
    input:
        scores=every("scores.csv", GRID),
        attributes=attribute_files(),
    output:
        csv=report(
            in_results("tables/strata.csv"),
            caption="../workflow/report/tables.rst",
            category="Tables",
        ),
        png=report(
            in_results("figures/strata.png"),
            caption="../workflow/report/figures.rst",
            category="Figures",
        ),
        pdf=in_results("figures/strata.pdf"),
    log:
        in_logs("compare_strata.log"),
    benchmark:
        in_benchmarks("compare_strata.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=asked(datasets=DATASETS_WITH_ATTRIBUTES),
    shell:
        'python "$UNDERSTUDY/scripts/compare_strata.py" --config {params.config:q} > {log:q} 2>&1'


rule compare_calibration:
    input:
        every("calibration.csv", without_controls(config)),
    output:
        csv=report(
            in_results("tables/calibration.csv"),
            caption="../workflow/report/tables.rst",
            category="Tables",
        ),
        png=report(
            in_results("figures/calibration.png"),
            caption="../workflow/report/figures.rst",
            category="Figures",
        ),
        pdf=in_results("figures/calibration.pdf"),
    log:
        in_logs("compare_calibration.log"),
    benchmark:
        in_benchmarks("compare_calibration.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=asked(),
    shell:
        'python "$UNDERSTUDY/scripts/compare_calibration.py" --config {params.config:q} > {log:q} 2>&1'


def external_scores(wildcards):
    look_first()
    files = (s.files(config["results"], n) for s, _, n in external_after_looks(config))
    return list(dict.fromkeys(path for paths in files for path in paths))


rule compare_external:
    input:
        external_scores,
    output:
        tables_made_by("compare_external") or in_results("tables/external.csv"),
    log:
        in_logs("compare_external.log"),
    benchmark:
        in_benchmarks("compare_external.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=asked(),
        output=subpath(output[0], parent=True),
    shell:
        'python "$UNDERSTUDY/scripts/compare_external.py" --config {params.config:q} --output {params.output:q}'
        " > {log:q} 2>&1"


def ensemble_scores(wildcards):
    """Of the networks of all repeats as one, and of each of them."""
    chosen = with_looks(without_controls(config))
    return files_of("scores.csv", chosen) + [
        s.ensemble_file(config["results"]) for s in chosen
    ]


rule compare_network_ensembles:
    input:
        ensemble_scores,
    output:
        tables_made_by("compare_network_ensembles")
        or in_results("tables/network_ensembles.csv"),
    log:
        in_logs("compare_network_ensembles.log"),
    benchmark:
        in_benchmarks("compare_network_ensembles.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=asked(),
        output=subpath(output[0], parent=True),
    shell:
        'python "$UNDERSTUDY/scripts/compare_network_ensembles.py" --config {params.config:q}'
        " --output {params.output:q} > {log:q} 2>&1"


# of the trainings that are finished; the others are listed as failed. It has no output, and no benchmark, which counts
# as one: so it runs whenever asked
rule tables_so_far:
    input:
        config=STUDY,
    log:
        in_logs("tables_so_far.log"),
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        folder=in_results("tables_so_far"),
    shell:
        'python "$UNDERSTUDY/scripts/make_tables.py" --config {input.config:q} --so-far --output {params.folder:q}'
        " > {log:q} 2>&1"


def figure_examples(wildcards):
    """The example predictions of the first trainings of every setting of a dataset."""
    own = [s for s in with_looks(GRID) if s.dataset == wildcards.dataset]
    return [
        path
        for s in own
        for path in s.files(config["results"], "example.png")[:FIGURE_REPEATS]
    ]


def figure_samples(name):
    """The file `name` of every generator of a dataset."""
    return expand(
        in_generator(name),
        generator=base_sources(config),
        allow_missing=True,
    )


rule make_figures:
    input:
        table=in_results("tables/dice.csv"),
        fidelity=FIDELITY_TABLE,
        snapshots=SNAPSHOTS_TABLE,
        examples=figure_examples,
        real=ancient(in_stacks("train.zip")),
        real_manifest=in_stacks("stacks.json"),
        samples=ancient(figure_samples("samples.zip")),
        sample_manifests=figure_samples("samples.json"),
    output:
        png=report(
            expand(in_results("figures/{{dataset}}/{figure}.png"), figure=FIGURES),
            caption="../workflow/report/figures.rst",
            category="Figures",
            subcategory="{dataset}",
        ),
        pdf=expand(in_results("figures/{{dataset}}/{figure}.pdf"), figure=FIGURES),
        thumbnails=expand(
            in_results("figures/{{dataset}}/thumbnails/{generator}.png"),
            generator=base_sources(config),
        ),
    log:
        in_logs("make_figures/{dataset}.log"),
    benchmark:
        in_benchmarks("make_figures/{dataset}.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        config=asked(),
        fidelity=option("--fidelity", FIDELITY_TABLE)
        + option("--snapshots", SNAPSHOTS_TABLE),
        output=subpath(output[0], parent=True),
    shell:
        'python "$UNDERSTUDY/scripts/make_figures.py" --dataset {wildcards.dataset:q} --config {params.config:q}'
        " --table {input.table:q} {params.fidelity:q} --output {params.output:q} > {log:q} 2>&1"


def experiment_scores(wildcards):
    return files_of("scores.csv", settings_of(config, wildcards.experiment))


def experiment_stacks(wildcards):
    datasets = dict.fromkeys(c.dataset for c in curves(config, wildcards.experiment))
    return [in_results(f"{dataset}/stacks/stacks.json") for dataset in datasets]


def experiment_trainings(wildcards):
    """Of one along trainings, what says how many images they had seen, and how like real ones theirs were."""
    if not ABOUT[wildcards.experiment].of_training:
        return []
    points = settings_of(config, wildcards.experiment)
    behind = {s.of_repeat(r) for s in points for r in s.numbers}
    folders = [
        generator_folder(config["results"], s.dataset, s.training_set) for s in behind
    ]
    names = ("weights.json", "fidelity.csv")
    return sorted(f"{folder}/{name}" for folder in set(folders) for name in names)


# beyond the grid: a curve for each data set, segmenter and generator
rule compare_experiment:
    input:
        scores=experiment_scores,
        stacks=experiment_stacks,
        trainings=experiment_trainings,
    output:
        csv=report(
            in_results("tables/{experiment}.csv"),
            caption="../workflow/report/experiments.rst",
            category="Experiments",
        ),
        png=report(
            in_results("figures/{experiment}.png"),
            caption="../workflow/report/experiments.rst",
            category="Experiments",
        ),
        pdf=in_results("figures/{experiment}.pdf"),
    log:
        in_logs("compare_experiment/{experiment}.log"),
    benchmark:
        in_benchmarks("compare_experiment/{experiment}.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=asked(),
    shell:
        'python "$UNDERSTUDY/scripts/compare_experiment.py" --experiment {wildcards.experiment:q}'
        " --config {params.config:q} > {log:q} 2>&1"


rule make_report:
    input:
        tables=rules.make_tables.output,
        generators=in_results("tables/generators.csv") if config["generators"] else [],
        figures=expand(rules.make_figures.output.png, dataset=config["datasets"]),
        thumbnails=expand(
            rules.make_figures.output.thumbnails, dataset=config["datasets"]
        ),
        stacks=expand(in_stacks("stacks.json"), dataset=config["datasets"]),
        fidelity=FIDELITY_TABLE,
        audits=audits,
        experiments=expand(rules.compare_experiment.output, experiment=EXPERIMENTS),
        external=rules.compare_external.output if EXTERNAL else [],
        strata=rules.compare_strata.output if STRATA else [],
        calibration=rules.compare_calibration.output if CALIBRATION else [],
        ensembles=(
            rules.compare_network_ensembles.output if ENSEMBLES_OF_NETWORKS else []
        ),
        readers=READERS,
    output:
        page=report(
            in_results("report.html"),
            caption="../workflow/report/page.rst",
            category="The answer",
        ),
        answers=in_results("answers.txt"),
    log:
        in_logs("make_report.log"),
    benchmark:
        in_benchmarks("make_report.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=asked(evaluation=config["evaluation"]),
        fidelity=option("--fidelity", FIDELITY_TABLE),
        audits=lambda wildcards, input: option("--audits", input.audits),
        experiments=option("--experiments", EXPERIMENTS),
        readers="--readers" if READERS else "",
        shareable=["--shareable"] * config["report"]["shareable"],
    shell:
        'python "$UNDERSTUDY/scripts/make_report.py" --config {params.config:q} {params.fidelity:q} {params.audits:q}'
        " {params.experiments:q} {params.readers:q} {params.shareable:q} --output {output.page:q} > {log:q} 2>&1"


# of a challenge: the imports are its entries
rule make_leaderboard:
    input:
        scores=every("scores.csv", GRID),
        tables=rules.make_tables.output,
        fidelity=rules.compare_fidelity.output,
        audits=audits,
        manifests=expand(
            in_generator("samples.json"),
            dataset=config["datasets"],
            generator=accepted(config),
        ),
        stacks=expand(in_stacks("stacks.json"), dataset=config["datasets"]),
    output:
        tables=tables_made_by("make_leaderboard")
        or in_results("tables/leaderboard.csv"),
        page=report(
            in_results("leaderboard.html"),
            caption="../workflow/report/leaderboard.rst",
            category="The answer",
        ),
        entries=expand(in_results("entries/{entry}.html"), entry=config["imports"]),
    log:
        in_logs("make_leaderboard.log"),
    benchmark:
        in_benchmarks("make_leaderboard.tsv")
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=asked(evaluation=config["evaluation"]),
        fidelity=option("--fidelity", FIDELITY_TABLE),
        folder=subpath(output[0], parent=True),
    shell:
        'python "$UNDERSTUDY/scripts/make_leaderboard.py" --config {params.config:q} {params.fidelity:q}'
        " --audits {input.audits:q} --tables {params.folder:q} --page {output.page:q}"
        " --entries {output.entries:q} > {log:q} 2>&1"
