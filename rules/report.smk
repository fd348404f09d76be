# report: scores and examples -> tables and figures.

# test_tables.py compares them with the library's; controls are a table where there are any
TABLES = [
    "dice",
    "hausdorff",
    "hausdorff95",
    "surface_dice",
    "volume_error",
    "regions",
    "regions_hausdorff95",
    "relative_dice",
    "ranking",
    "comparisons",
    "equivalence",
    "controls",
    "correlations",
    "empties",
]
FIGURES = (
    ["samples"] * bool(base_sources(config))
    + [f"predictions_{segmenter}" for segmenter in config["segmenters"]]
    + ["dice"]
)


rule make_tables:
    input:
        scores=every("scores.csv", GRID),
        fidelity=FIDELITY_TABLE,
    output:
        csv=report(
            expand(f"{RESULTS}/tables/{{table}}.csv", table=TABLES),
            caption="../workflow/report/tables.rst",
            category="Tables",
        ),
        md=expand(f"{RESULTS}/tables/{{table}}.md", table=TABLES),
        tex=expand(f"{RESULTS}/tables/{{table}}.tex", table=TABLES),
    log:
        f"{LOGS}/make_tables.log",
    benchmark:
        f"{BENCHMARKS}/make_tables.tsv"
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
        settings=canonical_json([setting.as_dict() for setting in GRID]),
        evaluation=SCORING,
        validation=config["experiments"]["validation"],
        published=canonical_json(PUBLISHED),
        fidelity=option("--fidelity", FIDELITY_TABLE),
    shell:
        "python scripts/make_tables.py --results {params.results:q} --settings {params.settings:q}"
        " --evaluation {params.evaluation:q} --published {params.published:q}"
        " --validation {params.validation:q} {params.fidelity:q} --output {params.results:q}/tables > {log:q} 2>&1"


rule compare_generators:
    input:
        expand(
            f"{GENERATOR}/{{manifest}}.json",
            dataset=config["datasets"],
            generator=config["generators"],
            manifest=["weights", "samples"],
        ),
    output:
        csv=report(
            f"{RESULTS}/tables/generators.csv",
            caption="../workflow/report/tables.rst",
            category="Tables",
        ),
        md=f"{RESULTS}/tables/generators.md",
        tex=f"{RESULTS}/tables/generators.tex",
    log:
        f"{LOGS}/compare_generators.log",
    benchmark:
        f"{BENCHMARKS}/compare_generators.tsv"
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
        runs=RUNS,
        datasets=list(config["datasets"]),
        generators=list(config["generators"]),
    shell:
        "python scripts/compare_generators.py --results {params.results:q} --runs {params.runs:q}"
        " --datasets {params.datasets:q} --generators {params.generators:q} --output {params.results:q}/tables"
        " > {log:q} 2>&1"


# of the trainings that are finished; the others are listed as failed. It has no output, and no benchmark, which counts
# as one: so it runs whenever asked
rule tables_so_far:
    log:
        f"{LOGS}/tables_so_far.log",
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
        runs=RUNS,
        settings=canonical_json([setting.as_dict() for setting in SETTINGS]),
        evaluation=SCORING,
        validation=config["experiments"]["validation"],
        published=canonical_json(PUBLISHED),
    shell:
        "python scripts/make_tables.py --results {params.results:q} --settings {params.settings:q}"
        " --evaluation {params.evaluation:q} --published {params.published:q} --validation {params.validation:q}"
        " --runs {params.runs:q} --output {params.results:q}/tables_so_far > {log:q} 2>&1"


rule make_figures:
    input:
        table=f"{RESULTS}/tables/dice.csv",
        examples=figure_examples,
        real=ancient(f"{STACKS}/train.zip"),
        real_manifest=f"{STACKS}/stacks.json",
        samples=ancient(figure_samples("samples.zip")),
        sample_manifests=figure_samples("samples.json"),
    output:
        png=report(
            expand(
                f"{RESULTS}/figures/{{{{dataset}}}}/{{figure}}.png", figure=FIGURES
            ),
            caption="../workflow/report/figures.rst",
            category="Figures",
            subcategory="{dataset}",
        ),
        pdf=expand(f"{RESULTS}/figures/{{{{dataset}}}}/{{figure}}.pdf", figure=FIGURES),
    log:
        f"{LOGS}/make_figures/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/make_figures/{{dataset}}.tsv"
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        results=results_folder,
        settings=dataset_settings,
        evaluation=SCORING,
        generators=list(base_sources(config)),
    shell:
        "python scripts/make_figures.py --dataset {wildcards.dataset:q} --results {params.results:q}"
        " --settings {params.settings:q} --table {input.table:q} --evaluation {params.evaluation:q}"
        " --generators {params.generators:q} --output {params.results:q}/figures/{wildcards.dataset:q} > {log:q} 2>&1"


# beyond the grid: a curve for each data set, segmenter and generator
rule compare_experiment:
    input:
        scores=experiment_scores,
        stacks=experiment_stacks,
    output:
        csv=report(
            f"{RESULTS}/tables/{{experiment}}.csv",
            caption="../workflow/report/experiments.rst",
            category="Experiments",
        ),
        md=f"{RESULTS}/tables/{{experiment}}.md",
        tex=f"{RESULTS}/tables/{{experiment}}.tex",
        png=report(
            f"{RESULTS}/figures/{{experiment}}.png",
            caption="../workflow/report/experiments.rst",
            category="Experiments",
        ),
        pdf=f"{RESULTS}/figures/{{experiment}}.pdf",
    log:
        f"{LOGS}/compare_experiment/{{experiment}}.log",
    benchmark:
        f"{BENCHMARKS}/compare_experiment/{{experiment}}.tsv"
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
        curves=experiment_curves,
        repeats=config["experiments"]["repeats"],
        evaluation=SCORING,
        validation=config["experiments"]["validation"],
        published=canonical_json(PUBLISHED),
    shell:
        "python scripts/compare_experiment.py --experiment {wildcards.experiment:q} --results {params.results:q}"
        " --curves {params.curves:q} --repeats {params.repeats:q} --evaluation {params.evaluation:q}"
        " --validation {params.validation:q} --published {params.published:q} > {log:q} 2>&1"


rule make_report:
    input:
        tables=rules.make_tables.output,
        generators=f"{RESULTS}/tables/generators.csv" if config["generators"] else [],
        figures=expand(rules.make_figures.output.png, dataset=config["datasets"]),
        stacks=expand(f"{STACKS}/stacks.json", dataset=config["datasets"]),
        fidelity=FIDELITY_TABLE,
        audits=AUDITS,
        experiments=expand(rules.compare_experiment.output, experiment=EXPERIMENTS),
        readers=READERS,
    output:
        report(
            f"{RESULTS}/report.html",
            caption="../workflow/report/page.rst",
            category="The answer",
        ),
    log:
        f"{LOGS}/make_report.log",
    benchmark:
        f"{BENCHMARKS}/make_report.tsv"
    retries: 0
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
        runs=RUNS,
        settings=canonical_json([setting.as_dict() for setting in SETTINGS]),
        generators=list(known_sources(config)),
        evaluation=canonical_json(config["evaluation"]),
        validation=config["experiments"]["validation"],
        published=canonical_json(PUBLISHED),
        fidelity=option("--fidelity", FIDELITY_TABLE),
        audits=option("--audits", AUDITS),
        experiments=option("--experiments", EXPERIMENTS),
        readers="--readers" if READERS else "",
        shareable=["--shareable"] * config["report"]["shareable"],
    shell:
        "python scripts/make_report.py --results {params.results:q} --runs {params.runs:q}"
        " --settings {params.settings:q} --generators {params.generators:q} --evaluation {params.evaluation:q}"
        " --validation {params.validation:q}"
        " --published {params.published:q} {params.fidelity:q} {params.audits:q} {params.experiments:q} {params.readers:q}"
        " {params.shareable:q}"
        " --output {output:q} > {log:q} 2>&1"
