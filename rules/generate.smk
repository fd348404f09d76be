# generate: a training stack -> weights -> a synthetic stack.
#
# Large files are `ancient`, and each has a small manifest with its SHA-256 beside it, which is an ordinary input:
# Snakemake compares small files by content, so touching a stack reruns nothing and another stack reruns what used it.


rule train_generator:
    input:
        stack=ancient(f"{STACKS}/train.zip"),
        manifest=f"{STACKS}/stacks.json",
    output:
        weights=f"{GENERATOR}/weights.safetensors",
        manifest=f"{GENERATOR}/weights.json",
    log:
        f"{LOGS}/train_generator/{{dataset}}/{{generator}}.log",
    benchmark:
        f"{BENCHMARKS}/train_generator/{{dataset}}/{{generator}}.tsv"
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
    params:
        training=training_of_generator,
        options=generator_options,
        left_out=left_out,
        seed=config["seed"],
        runs=f"{RUNS}/{{dataset}}/generators/{{generator}}",
    shell:
        "python scripts/train_generator.py --dataset {wildcards.dataset:q} {params.training:q}"
        " --options {params.options:q} --stack {input.stack:q} {params.left_out:q} --output {output.weights:q}"
        " --seed {params.seed:q} --runs {params.runs:q} --budget-min {resources.runtime:q}"
        " --checkpoint-min {resources.checkpoint_min:q} --on-budget {resources.on_budget:q} --gpus {resources.gpu:q}"
        " --device {resources.device:q} --threads {threads:q} --microbatch {resources.microbatch:q} > {log:q} 2>&1"


rule sample_generator:
    input:
        weights=ancient(f"{GENERATOR}/weights.safetensors"),
        manifest=f"{GENERATOR}/weights.json",
    output:
        stack=f"{GENERATOR}/samples.zip",
        manifest=f"{GENERATOR}/samples.json",
        grid=report(
            f"{GENERATOR}/samples.png",
            caption="../workflow/report/grid.rst",
            category="Samples",
            labels={"dataset": "{dataset}", "generator": "{generator}"},
        ),
    log:
        f"{LOGS}/sample_generator/{{dataset}}/{{generator}}.log",
    benchmark:
        f"{BENCHMARKS}/sample_generator/{{dataset}}/{{generator}}.tsv"
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
        seed=config["seed"],
        runs=f"{RUNS}/{{dataset}}/samples/{{generator}}",
    shell:
        "python scripts/sample_generator.py --weights {input.weights:q} --output {output.stack:q}"
        " --grid {output.grid:q} --count {params.images:q} --seed {params.seed:q} --runs {params.runs:q}"
        " --budget-min {resources.runtime:q} --checkpoint-min {resources.checkpoint_min:q}"
        " --on-budget {resources.on_budget:q} --gpus {resources.gpu:q} --device {resources.device:q}"
        " --threads {threads:q} > {log:q} 2>&1"


# images of several trainings of one generator, as many of each
rule pool_samples:
    input:
        stacks=ancient(member_files("samples.zip")),
        manifests=member_files("samples.json"),
    output:
        stack=f"{DATASET}/generators/{{ensemble}}/samples.zip",
        manifest=f"{DATASET}/generators/{{ensemble}}/samples.json",
    log:
        f"{LOGS}/pool_samples/{{dataset}}/{{ensemble}}.log",
    benchmark:
        f"{BENCHMARKS}/pool_samples/{{dataset}}/{{ensemble}}.tsv"
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
        "python scripts/pool_samples.py --dataset {wildcards.dataset:q} --name {wildcards.ensemble:q}"
        " --members {input.stacks:q} --count {params.images:q} --output {output.stack:q} > {log:q} 2>&1"


# copies of the training images, or noise: where a generator's samples would be, of known use
rule make_control:
    input:
        stack=ancient(f"{STACKS}/train.zip"),
        manifest=f"{STACKS}/stacks.json",
    output:
        stack=f"{DATASET}/generators/{{control}}/samples.zip",
        manifest=f"{DATASET}/generators/{{control}}/samples.json",
    log:
        f"{LOGS}/make_control/{{dataset}}/{{control}}.log",
    benchmark:
        f"{BENCHMARKS}/make_control/{{dataset}}/{{control}}.tsv"
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
        "python scripts/make_control.py --dataset {wildcards.dataset:q} --control {wildcards.control:q}"
        " --stack {input.stack:q} {params.left_out:q} --output {output.stack:q} --seed {params.seed:q} > {log:q} 2>&1"


# others' images, where a generator's samples would be
rule import_samples:
    input:
        images=imported_stack,
        stack=ancient(f"{STACKS}/train.zip"),
        stack_manifest=f"{STACKS}/stacks.json",
    output:
        stack=f"{DATASET}/generators/{{imported}}/samples.zip",
        manifest=f"{DATASET}/generators/{{imported}}/samples.json",
    log:
        f"{LOGS}/import_samples/{{dataset}}/{{imported}}.log",
    benchmark:
        f"{BENCHMARKS}/import_samples/{{dataset}}/{{imported}}.tsv"
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
        "python scripts/import_samples.py --dataset {wildcards.dataset:q} --name {wildcards.imported:q}"
        " --images {input.images:q} --train {input.stack:q} --trained-on {params.trained_on:q}"
        " --output {output.stack:q} > {log:q} 2>&1"
