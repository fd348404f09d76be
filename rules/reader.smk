# reader: can people tell synthetic images from real ones? A page for readers, and what comes of their answers.
READER = f"{DATASET}/reader_study"


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
        "python scripts/make_reader_study.py --dataset {wildcards.dataset} --options {params.options:q}"
        " --seed {params.seed} --real {input.real} --samples {input.samples} --output {params.output} > {log} 2>&1"


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
        "python scripts/read_answers.py --keys {input.key} --answers {input.answers} --options {params.options:q}"
        " --published {params.published:q} --tables {params.results}/tables --figures {params.results}/figures > {log} 2>&1"
