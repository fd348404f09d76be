# nnunet: nnU-Net v2 itself as a segmenter. What it leaves is what train_segmenter leaves, so tables need no special case.
NNUNET_SETTING = "segmenters/{segmenter}/{training_set}/{augmentation}/repeat{repeat}"


def nnunet_options(wildcards):
    return MODELS[f"segmenters/{NNUNET}/{wildcards.augmentation}"]


rule train_nnunet:
    input:
        stacks=ancient(training_stacks),
        manifests=training_manifests,
        test=ancient(in_stacks("test.zip")),
        apart=ancient(in_stacks("train.zip")) if APART else [],
        test_manifest=in_stacks("stacks.json"),
    output:
        history=in_dataset(f"{NNUNET_SETTING}/history.csv"),
        scores=in_dataset(f"{NNUNET_SETTING}/scores.csv"),
        example=in_dataset(f"{NNUNET_SETTING}/example.png"),
    log:
        in_logs(
            "train_nnunet/{dataset}/{segmenter}/{training_set}/{augmentation}/repeat{repeat}.log"
        ),
    benchmark:
        in_benchmarks(
            "train_nnunet/{dataset}/{segmenter}/{training_set}/{augmentation}/repeat{repeat}.tsv"
        )
    wildcard_constraints:
        segmenter=NNUNET,
    conda:
        "../envs/nnunet.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=64000,
        runtime=1440,
        checkpoint_min=30,
        on_budget="exit",
        device="auto",
    params:
        options=nnunet_options,
        images=config["exports"]["images"],
        scoring=SCORING,
        more=option("--apart", [in_stacks("train.zip")] * APART) + ["--keep"] * KEEP,
        seed=config["seed"],
        runs=in_runs("{dataset}/segmenters/{segmenter}/{training_set}/{augmentation}"),
    shell:
        'python "$UNDERSTUDY/scripts/train_nnunet.py" --dataset {wildcards.dataset:q}'
        " --segmenter {wildcards.segmenter:q} --training-set {wildcards.training_set:q}"
        " --augmentation {wildcards.augmentation:q} --repeat {wildcards.repeat:q} --seed {params.seed:q}"
        " --options {params.options:q} --images {params.images:q} --stacks {input.stacks:q} --test {input.test:q}"
        " {params.scoring:q} {params.more:q} --history {output.history:q} --scores {output.scores:q}"
        " --example {output.example:q}" + RESUMABLE
