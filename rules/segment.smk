# segment: a training set -> a segmenter, its predictions of the test volumes, and their scores.


rule train_segmenter:
    input:
        stacks=ancient(training_stacks),
        manifests=training_manifests,
        start=starting_weights,
        test=ancient(f"{STACKS}/test.zip"),
        apart=ancient(f"{STACKS}/train.zip") if APART else [],
        test_manifest=f"{STACKS}/stacks.json",
    output:
        weights=of_repeats("weights.safetensors") if KEEP else [],
        history=of_repeats("history.csv"),
        scores=of_repeats("scores.csv"),
        example=of_repeats("example.png"),
    log:
        f"{LOGS}/train_segmenter/{{dataset}}/{{segmenter}}/{{training_set}}/{{augmentation}}/{REPEAT}.log",
    benchmark:
        f"{BENCHMARKS}/train_segmenter/{{dataset}}/{{segmenter}}/{{training_set}}/{{augmentation}}/{REPEAT}.tsv"
    conda:
        "../envs/segment.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=64000,
        runtime=1440,
        checkpoint_min=30,
        on_budget="exit",
        device="auto",
        at_once=1,
    params:
        options=segmenter_options,
        start=starting_argument,
        slices=config["evaluation"]["slices"],
        apart=option("--apart", [f"{STACKS}/train.zip"] * APART),
        regions=canonical_json(config["evaluation"]["regions"]),
        tolerance_mm=config["evaluation"]["surface_tolerance_mm"],
        repeats=list(REPEATS),
        weights=option("--weights", of_repeats("weights.safetensors") * KEEP),
        seed=config["seed"],
        runs=f"{RUNS}/{{dataset}}/segmenters/{{segmenter}}/{{training_set}}/{{augmentation}}",
    shell:
        "python scripts/train_segmenter.py --dataset {wildcards.dataset:q} --segmenter {wildcards.segmenter:q}"
        " --training-set {wildcards.training_set:q} --augmentation {wildcards.augmentation:q}"
        " --repeats {params.repeats:q} --seed {params.seed:q} --options {params.options:q}"
        " --stacks {input.stacks:q} {params.apart:q} {params.start:q} --test {input.test:q} --slices {params.slices:q}"
        " --regions {params.regions:q} --tolerance-mm {params.tolerance_mm:q} {params.weights:q}"
        " --history {output.history:q} --scores {output.scores:q} --example {output.example:q}"
        " --at-once {resources.at_once:q} --runs {params.runs:q} --budget-min {resources.runtime:q}"
        " --checkpoint-min {resources.checkpoint_min:q} --on-budget {resources.on_budget:q} --gpus {resources.gpu:q}"
        " --device {resources.device:q} --threads {threads:q} > {log:q} 2>&1"
