# evaluate: synthetic images and annotations beside real ones. (Segmentations are scored where they are predicted.)
from understudy.study.grid import feature_weights
from understudy.files.find_weights import find_weights

FIDELITY = ("fidelity", "annotation")  # tables of a generator


def fidelity_options(wildcards):
    """What decides the numbers; where weights are is an input."""
    options = config["evaluation"]["fidelity"]
    return canonical_json(
        {k: v for k, v in options.items() if k not in ("weights", "segmenter")}
    )


def fidelity_files(dataset):
    """{space: file of weights} of the spaces that are asked for, as far as the files are there or will be."""
    options = config["evaluation"]["fidelity"]
    given = {
        name: file
        for name, file in options["weights"].items()
        if name in options["spaces"]
    }
    found = {name: find_weights(file) for name, file in given.items() if file}
    own = feature_weights(config, dataset)
    return {name: str(path) for name, path in found.items() if path} | (
        {"segmenter": own} if own else {}
    )


def fidelity_weights(wildcards):
    return list(fidelity_files(wildcards.dataset).values())


def fidelity_weights_named(wildcards):
    files = fidelity_files(wildcards.dataset)
    return [f"{space}={file}" for space, file in files.items()]


rule score_fidelity:
    input:
        samples=ancient(in_generator("samples.zip")),
        manifest=in_generator("samples.json"),
        train=ancient(in_stacks("train.zip")),
        test=ancient(in_stacks("test.zip")),
        real_manifest=in_stacks("stacks.json"),
        weights=ancient(fidelity_weights),
    output:
        fidelity=in_generator("fidelity.csv"),
        annotation=in_generator("annotation.csv"),
    log:
        in_logs("score_fidelity/{dataset}/{generator}.log"),
    benchmark:
        in_benchmarks("score_fidelity/{dataset}/{generator}.tsv")
    wildcard_constraints:
        generator=one_of(SOURCES),
    conda:
        "../envs/evaluate.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=240,
        device="auto",
    params:
        options=fidelity_options,
        weights=fidelity_weights_named,
        seed=config["seed"],
        cache=in_runs("{dataset}/features"),
    shell:
        'python "$UNDERSTUDY/scripts/score_fidelity.py" --dataset {wildcards.dataset:q}'
        " --generator {wildcards.generator:q} --samples {input.samples:q} --train {input.train:q} --test {input.test:q}"
        " --options {params.options:q} --weights {params.weights:q} --seed {params.seed:q}"
        " --fidelity {output.fidelity:q} --annotation {output.annotation:q} --cache {params.cache:q}"
        + DEVICE


def fidelity_scores(wildcards):
    look_first()
    folders = [
        generator_folder(config["results"], *one) for one in made_sources(config)
    ]
    return [f"{folder}/{name}.csv" for folder in folders for name in FIDELITY]


def fidelity_folders(wildcards, input):
    return list(dict.fromkeys(str(Path(path).parent) for path in input))


rule compare_fidelity:
    input:
        fidelity_scores,
    output:
        tables_made_by("compare_fidelity", "fidelity"),
    log:
        in_logs("compare_fidelity.log"),
    benchmark:
        in_benchmarks("compare_fidelity.tsv")
    retries: 0
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        config=json.dumps(NAMED),
        folders=fidelity_folders,
        output=subpath(output[0], parent=True),
    shell:
        'python "$UNDERSTUDY/scripts/compare_fidelity.py" --config {params.config:q}'
        " --folders {params.folders:q} --output {params.output:q} > {log:q} 2>&1"
