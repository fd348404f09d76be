# reader: can people tell synthetic images from real ones? A page for readers, and what comes of their answers.
READER = f"{DATASET}/reader_study"
# what decides the page, and what decides the plan and the tables
READER_PAGE = ["generators", "images", "channels", "split", "repeats", "confidence"]
READER_PAGE += ["grey_levels", "background", "contrast"]
READER_PLAN = ["generators", "images", "readers", "half_width", "detect", "power"]
READER_PLAN += ["agreement"]
READER_FIGURES = expand(
    f"{RESULTS}/figures/readers.{{kind}}",
    kind=["png", "pdf"] if config["reader_study"]["answers"] else [],
)


rule make_reader_study:
    input:
        real=ancient(f"{STACKS}/{config['reader_study']['split']}.zip"),
        real_manifest=f"{STACKS}/stacks.json",
        samples=ancient(reader_images(".zip")),
        sample_manifests=reader_images(".json"),
    output:
        page=f"{READER}/page.html",
        key=f"{READER}/key.json",
    log:
        f"{LOGS}/make_reader_study/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/make_reader_study/{{dataset}}.tsv"
    retries: 0
    conda:
        "../envs/reader.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=reader_options(READER_PAGE),
        seed=config["seed"],
        output=subpath(output.page, parent=True),
    shell:
        "python scripts/make_reader_study.py --dataset {wildcards.dataset:q} --options {params.options:q}"
        " --seed {params.seed:q} --real {input.real:q} --samples {input.samples:q} --output {params.output:q}"
        " > {log:q} 2>&1"


rule read_answers:
    input:
        key=expand(rules.make_reader_study.output.key, dataset=config["datasets"]),
        answers=config["reader_study"]["answers"],
    output:
        csv=report(
            expand(f"{RESULTS}/tables/{{table}}.csv", table=READER_TABLES),
            caption="../workflow/report/readers.rst",
            category="Tables",
        ),
        md=expand(f"{RESULTS}/tables/{{table}}.md", table=READER_TABLES),
        tex=expand(f"{RESULTS}/tables/{{table}}.tex", table=READER_TABLES),
        figures=report(
            READER_FIGURES,
            caption="../workflow/report/readers.rst",
            category="Figures",
        ),
    log:
        f"{LOGS}/read_answers.log",
    benchmark:
        f"{BENCHMARKS}/read_answers.tsv"
    retries: 0
    conda:
        "../envs/reader.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
        options=reader_options(READER_PLAN),
        published=canonical_json(PUBLISHED),
    shell:
        "python scripts/read_answers.py --keys {input.key:q} --answers {input.answers:q} --options {params.options:q}"
        " --published {params.published:q} --tables {params.results:q}/tables --figures {params.results:q}/figures"
        " > {log:q} 2>&1"
