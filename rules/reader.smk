# reader: can people tell synthetic images from real ones? A page for readers, and what comes of their answers.
from understudy.study.grid import published_names
from understudy.study.sources import file_of

# what decides the page, and what decides the plan and the tables
READER_PAGE = ["generators", "images", "channels", "split", "repeats", "confidence"]
READER_PAGE += ["grey_levels", "background", "contrast"]
READER_PLAN = ["generators", "images", "readers", "half_width", "detect", "power"]
READER_PLAN += ["agreement"]
READERS = [table_file(table) for table in made_by("read_answers", config)]
READER_FIGURES = expand(
    in_results("figures/readers.{kind}"),
    kind=["png", "pdf"] if config["reader_study"]["answers"] else [],
)


def reader_options(keys):
    return canonical_json({key: config["reader_study"][key] for key in keys})


def reader_images(suffix):
    """The stack, or its manifest, of each generator in a reader study."""
    names = config["reader_study"]["generators"]
    return [in_results(file_of(name, suffix, "{dataset}")) for name in names]


rule make_reader_study:
    input:
        real=ancient(in_stacks(f"{config['reader_study']['split']}.zip")),
        real_manifest=in_stacks("stacks.json"),
        samples=ancient(reader_images(".zip")),
        sample_manifests=reader_images(".json"),
    output:
        page=in_dataset("reader_study/page.html"),
        key=in_dataset("reader_study/key.json"),
    log:
        in_logs("make_reader_study/{dataset}.log"),
    benchmark:
        in_benchmarks("make_reader_study/{dataset}.tsv")
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
        'python "$UNDERSTUDY/scripts/make_reader_study.py" --dataset {wildcards.dataset:q} --options {params.options:q}'
        " --seed {params.seed:q} --real {input.real:q} --samples {input.samples:q} --output {params.output:q}"
        " > {log:q} 2>&1"


rule read_answers:
    input:
        key=expand(rules.make_reader_study.output.key, dataset=config["datasets"]),
        answers=config["reader_study"]["answers"],
    output:
        csv=tables_made_by("read_answers", "readers"),
        figures=report(
            READER_FIGURES,
            caption="../workflow/report/readers.rst",
            category="Figures",
        ),
    log:
        in_logs("read_answers.log"),
    benchmark:
        in_benchmarks("read_answers.tsv")
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
        published=canonical_json(published_names(config)),
        rehearsal=REHEARSED,
    shell:
        'python "$UNDERSTUDY/scripts/read_answers.py" --keys {input.key:q} --answers {input.answers:q} --options {params.options:q}'
        " --published {params.published:q} {params.rehearsal:q} --tables {params.results:q}/tables --figures {params.results:q}/figures"
        " > {log:q} 2>&1"
