# generate: a training stack -> weights -> a synthetic stack.
#
# Large files are `ancient`, and each has a small manifest with its SHA-256 beside it, which is an ordinary input:
# Snakemake compares small files by content, so touching a stack reruns nothing and another stack reruns what used it.
from understudy.study.grid import kept_snapshots, sample_count
from understudy.study.sources import Source


def generator_options(wildcards):
    return MODELS[f"generators/{Source.of(wildcards.generator).base}"]


def training_of_generator(wildcards):
    """Which generator it is, which of several trainings, and the share of the subjects that it sees."""
    source = Source.of(wildcards.generator)
    whole = ["--generator", source.base]
    if source.trained == [source.base]:
        return whole
    return [*whole, "--percent", source.percent, "--training", source.seed]


def finished_training(wildcards):
    """What a snapshot waits for: the training that has kept it in its run directory."""
    (training,) = Source.of(wildcards.generator).trained
    if training == wildcards.generator:
        return []
    folder = generator_folder(config["results"], wildcards.dataset, training)
    return f"{folder}/weights.json"


def snapshots_of_training(wildcards):
    """Which weights a training keeps, and which of them are published."""
    source = Source.of(wildcards.generator)
    keep = option("--keep", kept_snapshots(config, *source.trained))
    return keep + option("--publish", [source.snapshot] * (source.snapshot < 100))


def runs_of_training(wildcards):
    (training,) = Source.of(wildcards.generator).trained
    return in_runs(f"{wildcards.dataset}/generators/{training}")


def left_out(wildcards):
    """Share of the subjects that no generator sees, as segmenters validate on them."""
    if config["experiments"]["validation"] == "study":
        return []
    fractions = [s["validation_fraction"] for s in config["segmenters"].values()]
    return option("--leave-out", fractions[:1])


rule train_generator:
    input:
        stack=ancient(in_stacks("train.zip")),
        manifest=in_stacks("stacks.json"),
        finished=finished_training,
    output:
        weights=in_generator("weights.safetensors"),
        manifest=in_generator("weights.json"),
    log:
        in_logs("train_generator/{dataset}/{generator}.log"),
    benchmark:
        in_benchmarks("train_generator/{dataset}/{generator}.tsv")
    priority: 10
    conda:
        "../envs/generate.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=64000,
        runtime=2880,
        checkpoint_min=30,
        on_budget="exit",
        device="auto",
        microbatch=0,
        tracking=config["tracking"],
    params:
        training=training_of_generator,
        options=generator_options,
        left_out=left_out,
        snapshots=snapshots_of_training,
        seed=config["seed"],
        runs=runs_of_training,
        mlflow=in_runs("mlruns"),
    shell:
        'python "$UNDERSTUDY/scripts/train_generator.py" --dataset {wildcards.dataset:q} {params.training:q}'
        " --options {params.options:q} --stack {input.stack:q} {params.left_out:q} {params.snapshots:q}"
        " --output {output.weights:q} --seed {params.seed:q} --microbatch {resources.microbatch:q}"
        + TRACKED
        + RESUMABLE


def images_of_generator(wildcards):
    return sample_count(config, wildcards.generator)


def guarded_from(wildcards):
    """What samples are kept apart from while they are drawn; its manifest is an input of the training."""
    options = config["generators"][Source.of(wildcards.generator).base]
    return in_stacks("train.zip").format(**wildcards) if options.get("guard") else []


def guard_argument(wildcards, input):
    return option("--train", [input.train] if input.get("train") else [])


rule sample_generator:
    input:
        weights=ancient(in_generator("weights.safetensors")),
        manifest=in_generator("weights.json"),
        train=ancient(guarded_from),
    output:
        stack=in_generator("samples.zip"),
        manifest=in_generator("samples.json"),
        grid=report(
            in_generator("samples.png"),
            caption="../workflow/report/grid.rst",
            category="Samples",
            labels={"dataset": "{dataset}", "generator": "{generator}"},
        ),
    log:
        in_logs("sample_generator/{dataset}/{generator}.log"),
    benchmark:
        in_benchmarks("sample_generator/{dataset}/{generator}.tsv")
    priority: 10
    conda:
        "../envs/generate.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=240,
        checkpoint_min=30,
        on_budget="exit",
        device="auto",
    params:
        images=images_of_generator,
        guard=guard_argument,
        seed=config["seed"],
        runs=in_runs("{dataset}/samples/{generator}"),
    shell:
        'python "$UNDERSTUDY/scripts/sample_generator.py" --weights {input.weights:q} --output {output.stack:q}'
        " {params.guard:q} --grid {output.grid:q} --count {params.images:q} --seed {params.seed:q}"
        + RESUMABLE


def member_files(name):
    """The file `name` of every training behind an ensemble."""

    def files(wildcards):
        folder = in_results(f"{wildcards.dataset}/generators")
        return [
            f"{folder}/{member}/{name}"
            for member in Source.of(wildcards.ensemble).trained
        ]

    return files


# images of several trainings of one generator, as many of each
rule pool_samples:
    input:
        stacks=ancient(member_files("samples.zip")),
        manifests=member_files("samples.json"),
    output:
        stack=in_dataset("generators/{ensemble}/samples.zip"),
        manifest=in_dataset("generators/{ensemble}/samples.json"),
    log:
        in_logs("pool_samples/{dataset}/{ensemble}.log"),
    benchmark:
        in_benchmarks("pool_samples/{dataset}/{ensemble}.tsv")
    retries: 0
    conda:
        "../envs/generate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        images=config["samples"]["count"],
    shell:
        'python "$UNDERSTUDY/scripts/pool_samples.py" --dataset {wildcards.dataset:q} --name {wildcards.ensemble:q}'
        " --members {input.stacks:q} --count {params.images:q} --output {output.stack:q} > {log:q} 2>&1"


# copies of the training images, or noise: where a generator's samples would be, of known use
rule make_control:
    input:
        stack=ancient(in_stacks("train.zip")),
        manifest=in_stacks("stacks.json"),
    output:
        stack=in_dataset("generators/{control}/samples.zip"),
        manifest=in_dataset("generators/{control}/samples.json"),
    log:
        in_logs("make_control/{dataset}/{control}.log"),
    benchmark:
        in_benchmarks("make_control/{dataset}/{control}.tsv")
    retries: 0
    conda:
        "../envs/generate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        left_out=left_out,
        seed=config["seed"],
    shell:
        'python "$UNDERSTUDY/scripts/make_control.py" --dataset {wildcards.dataset:q} --control {wildcards.control:q}'
        " --stack {input.stack:q} {params.left_out:q} --output {output.stack:q} --seed {params.seed:q} > {log:q} 2>&1"


def imported_stack(wildcards):
    return config["imports"][wildcards.imported]["stack"]


def trained_on(wildcards):
    return config["imports"][wildcards.imported]["trained_on"]


# others' images, where a generator's samples would be
rule import_samples:
    input:
        images=imported_stack,
        stack=ancient(in_stacks("train.zip")),
        stack_manifest=in_stacks("stacks.json"),
    output:
        stack=in_dataset("generators/{imported}/samples.zip"),
        manifest=in_dataset("generators/{imported}/samples.json"),
    log:
        in_logs("import_samples/{dataset}/{imported}.log"),
    benchmark:
        in_benchmarks("import_samples/{dataset}/{imported}.tsv")
    retries: 0
    conda:
        "../envs/generate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        trained_on=trained_on,
    shell:
        'python "$UNDERSTUDY/scripts/import_samples.py" --dataset {wildcards.dataset:q} --name {wildcards.imported:q}'
        " --images {input.images:q} --train {input.stack:q} --trained-on {params.trained_on:q}"
        " --output {output.stack:q} > {log:q} 2>&1"
