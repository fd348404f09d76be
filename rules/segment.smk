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
        apart=f"--apart {STACKS}/train.zip" if APART else "",
        regions=canonical_json(config["evaluation"]["regions"]),
        tolerance_mm=config["evaluation"]["surface_tolerance_mm"],
        repeats=" ".join(map(str, REPEATS)),
        weights=" ".join(["--weights", *of_repeats("weights.safetensors")] * KEEP),
        seed=config["seed"],
        runs=f"{RUNS}/{{dataset}}/segmenters/{{segmenter}}/{{training_set}}/{{augmentation}}",
    shell:
        "python scripts/train_segmenter.py --dataset {wildcards.dataset} --segmenter {wildcards.segmenter}"
        " --training-set {wildcards.training_set} --augmentation {wildcards.augmentation} --repeats {params.repeats}"
        " --seed {params.seed} --options {params.options:q} --stacks {input.stacks} {params.apart} {params.start}"
        " --test {input.test}"
        " --slices {params.slices} --regions {params.regions:q} --tolerance-mm {params.tolerance_mm} {params.weights}"
        " --history {output.history} --scores {output.scores}"
        " --example {output.example} --at-once {resources.at_once}"
        " --runs {params.runs} --budget-min {resources.runtime} --checkpoint-min {resources.checkpoint_min}"
        " --on-budget {resources.on_budget} --gpus {resources.gpu} --device {resources.device} --threads {threads}"
        " > {log} 2>&1"
