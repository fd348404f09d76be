# segment: a training set -> a segmenter, its predictions of the test volumes, and their scores.
import json
from dataclasses import replace

from understudy.study.grid import Setting, setting_of, start_of
from understudy.study.result_paths import nnunet_dataset, nnunet_folder
from understudy.study.sources import file_of, parts

# all repeats of a setting, where they share a job; otherwise the one of the wildcard
SHARED = config["experiments"]["share_job"]
REPEATS = range(1, config["experiments"]["repeats"] + 1) if SHARED else ["{repeat}"]
JOB = "train_segmenter/{dataset}/{segmenter}/{training_set}/{augmentation}/" + (
    "all" if SHARED else "repeat{repeat}"
)
# whether held-out subjects of the real images validate every training set
APART = config["experiments"]["validation"] == "apart"
KEEP = config["experiments"]["keep_weights"]
# whether any training starts from the weights of another
STARTS = any(start_of(setting) for setting in SETTINGS)
SCORING = [
    *["--slices", config["evaluation"]["slices"]],
    *["--regions", canonical_json(config["evaluation"]["regions"])],
    *["--tolerance-mm", config["evaluation"]["surface_tolerance_mm"]],
]


def source_files(wildcards, suffix):
    """One file per part of a training set: of the real images, or of a generator's, the stack or its manifest."""
    return [
        in_results(file_of(part, suffix, wildcards.dataset))
        for part in parts(wildcards.training_set)
    ]


def training_stacks(wildcards):
    return source_files(wildcards, ".zip")


def training_manifests(wildcards):
    return source_files(wildcards, ".json")


def starting_setting(wildcards):
    """The setting whose weights a training starts from, if there is one."""
    names = ("dataset", "segmenter", "training_set", "augmentation")
    named = {name: wildcards[name] for name in names}
    return start_of(Setting(repeats=config["experiments"]["repeats"], **named))


def starting_weights(wildcards):
    """The weights that each repeat starts from: of the same repeat."""
    if not (start := starting_setting(wildcards)):
        return []
    files = start.files(config["results"], "weights.safetensors")
    return files if SHARED else [files[int(wildcards.repeat) - 1]]


def starting_argument(wildcards, input):
    return option("--start", input.start)


def segmenter_options(wildcards):
    text = MODELS[f"segmenters/{wildcards.segmenter}/{wildcards.augmentation}"]
    if not (STARTS and starting_setting(wildcards)):
        return text
    options = json.loads(text)
    options["learning_rate"] *= config["experiments"]["few_subjects"][
        "fine_tuning_rate"
    ]
    return canonical_json(options)


SETTING = "segmenters/{segmenter}/{training_set}/{augmentation}"


def of_repeats(name):
    return [in_dataset(f"{SETTING}/repeat{repeat}/{name}") for repeat in REPEATS]


rule train_segmenter:
    input:
        stacks=ancient(training_stacks),
        manifests=training_manifests,
        start=starting_weights if STARTS else [],
        test=ancient(in_stacks("test.zip")),
        apart=ancient(in_stacks("train.zip")) if APART else [],
        test_manifest=in_stacks("stacks.json"),
    output:
        weights=of_repeats("weights.safetensors") if KEEP else [],
        history=of_repeats("history.csv"),
        scores=of_repeats("scores.csv"),
        example=of_repeats("example.png"),
    log:
        in_logs(f"{JOB}.log"),
    benchmark:
        in_benchmarks(f"{JOB}.tsv")
    wildcard_constraints:
        segmenter=one_of(name for name in config["segmenters"] if name != NNUNET),
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
        tracking=config["tracking"],
    params:
        options=segmenter_options,
        start=starting_argument if STARTS else [],
        scoring=SCORING,
        more=option("--apart", [in_stacks("train.zip")] * APART)
        + option("--weights", of_repeats("weights.safetensors") * KEEP),
        repeats=list(REPEATS),
        seed=config["seed"],
        runs=in_runs("{dataset}/segmenters/{segmenter}/{training_set}/{augmentation}"),
        mlflow=in_runs("mlruns"),
    shell:
        'python "$UNDERSTUDY/scripts/train_segmenter.py" --dataset {wildcards.dataset:q}'
        " --segmenter {wildcards.segmenter:q} --training-set {wildcards.training_set:q}"
        " --augmentation {wildcards.augmentation:q} --repeats {params.repeats:q} --seed {params.seed:q}"
        " --options {params.options:q} --stacks {input.stacks:q} {params.start:q} --test {input.test:q}"
        " {params.scoring:q} {params.more:q} --history {output.history:q} --scores {output.scores:q}"
        " --example {output.example:q} --at-once {resources.at_once:q}"
        + TRACKED
        + RESUMABLE


def nnunet_file(folder, name):
    """A file that nnU-Net reads, of an export."""
    export = nnunet_folder(config["results"], "{dataset}", "{training_set}")
    return f"{export}/{folder}/{nnunet_dataset('{dataset}')}/{name}"


# a training set as a data set of nnU-Net; the target `exports` asks for all
rule export_training_set:
    input:
        stacks=ancient(training_stacks),
        manifests=training_manifests,
        apart=ancient(in_stacks("train.zip")) if APART else [],
    output:
        description=nnunet_file("nnUNet_raw", "dataset.json"),
        lineage=nnunet_file("nnUNet_raw", "lineage.json"),
        splits=nnunet_file("nnUNet_preprocessed", "splits_final.json"),
    log:
        in_logs("export_training_set/{dataset}/{training_set}.log"),
    benchmark:
        in_benchmarks("export_training_set/{dataset}/{training_set}.tsv")
    retries: 0
    conda:
        "../envs/segment.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        apart=option("--apart", [in_stacks("train.zip")] * APART),
        images=config["exports"]["images"],
        folds=config["exports"]["folds"],
        seed=config["seed"],
        output=nnunet_folder(config["results"], "{dataset}", "{training_set}"),
    shell:
        'python "$UNDERSTUDY/scripts/export_training_set.py" --dataset {wildcards.dataset:q}'
        " --training-set {wildcards.training_set:q} --stacks {input.stacks:q} {params.apart:q}"
        " --images {params.images:q} --folds {params.folds:q} --seed {params.seed:q} --output {params.output:q}"
        " > {log:q} 2>&1"


# how sure a finished segmenter is of its test subjects, and how often it is right
rule score_calibration:
    input:
        weights=in_dataset(f"{SETTING}/repeat{{repeat}}/weights.safetensors"),
        test=ancient(in_stacks("test.zip")),
        test_manifest=in_stacks("stacks.json"),
    output:
        in_dataset(f"{SETTING}/repeat{{repeat}}/calibration.csv"),
    log:
        in_logs(f"score_calibration/{{dataset}}/{SETTING}/repeat{{repeat}}.log"),
    benchmark:
        in_benchmarks(f"score_calibration/{{dataset}}/{SETTING}/repeat{{repeat}}.tsv")
    conda:
        "../envs/segment.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=60,
        device="auto",
    params:
        slices=config["evaluation"]["slices"],
    shell:
        'python "$UNDERSTUDY/scripts/score_calibration.py" --weights {input.weights:q} --test {input.test:q}'
        " --slices {params.slices:q} --output {output:q}" + DEVICE


# another hospital's patients: a finished segmenter, scored on the test subjects of another dataset
rule score_external:
    input:
        weights=in_dataset(f"{SETTING}/repeat{{repeat}}/weights.safetensors"),
        test=ancient(in_results("{external}/stacks/test.zip")),
        test_manifest=in_results("{external}/stacks/stacks.json"),
    output:
        in_dataset(f"{SETTING}/repeat{{repeat}}/scores_on_{{external}}.csv"),
    log:
        in_logs(
            f"score_external/{{dataset}}/{SETTING}/repeat{{repeat}}/{{external}}.log"
        ),
    benchmark:
        in_benchmarks(
            f"score_external/{{dataset}}/{SETTING}/repeat{{repeat}}/{{external}}.tsv"
        )
    conda:
        "../envs/segment.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=60,
        device="auto",
    params:
        scoring=SCORING,
    shell:
        'python "$UNDERSTUDY/scripts/score_external.py" --dataset {wildcards.dataset:q}'
        " --segmenter {wildcards.segmenter:q} --training-set {wildcards.training_set:q}"
        " --augmentation {wildcards.augmentation:q} --repeat {wildcards.repeat:q} --weights {input.weights:q}"
        " --test {input.test:q} {params.scoring:q} --scores {output:q}" + DEVICE


def networks_of_repeats(wildcards):
    w = wildcards
    setting = setting_of(config, w.dataset, w.segmenter, w.training_set, w.augmentation)
    repeats = replace(setting, repeats=int(w.networks))
    return repeats.files(config["results"], "weights.safetensors")


# the networks of all repeats as one
rule score_network_ensemble:
    input:
        weights=networks_of_repeats,
        test=ancient(in_stacks("test.zip")),
        test_manifest=in_stacks("stacks.json"),
    output:
        in_dataset(f"{SETTING}/ensemble_of_{{networks}}.csv"),
    log:
        in_logs(f"score_network_ensemble/{{dataset}}/{SETTING}/{{networks}}.log"),
    benchmark:
        in_benchmarks(f"score_network_ensemble/{{dataset}}/{SETTING}/{{networks}}.tsv")
    conda:
        "../envs/segment.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=60,
        device="auto",
    params:
        scoring=SCORING,
    shell:
        'python "$UNDERSTUDY/scripts/score_network_ensemble.py" --dataset {wildcards.dataset:q}'
        " --segmenter {wildcards.segmenter:q} --training-set {wildcards.training_set:q}"
        " --augmentation {wildcards.augmentation:q} --weights {input.weights:q}"
        " --test {input.test:q} {params.scoring:q} --scores {output:q}" + DEVICE
