# prepare: raw NIfTI -> an index that has been checked to the last byte -> PNG stacks.
from understudy.prepare.splits import SECRET, how_drawn


def phantom_options(wildcards):
    return canonical_json(config["datasets"][wildcards.dataset]["phantom"])


rule make_phantom:
    output:
        in_dataset("raw/phantom.json"),
    log:
        in_logs("make_phantom/{dataset}.log"),
    benchmark:
        in_benchmarks("make_phantom/{dataset}.tsv")
    retries: 0
    conda:
        "../envs/prepare.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        options=phantom_options,
    shell:
        'python "$UNDERSTUDY/scripts/make_phantom.py" --options {params.options:q} --output {output:q} --workers {threads:q}'
        " > {log:q} 2>&1"


def dataset_options(wildcards):
    """What decides a dataset's index and slices; not the published table beside its own, what is known of
    subjects, nor how phantoms are made."""
    options = config["datasets"][wildcards.dataset]
    return canonical_json(
        {
            key: value
            for key, value in options.items()
            if key not in ("published", "phantom", "attributes")
        }
    )


def images_options(wildcards):
    return canonical_json(config["images"])


def raw_root(wildcards):
    """Folder of the raw files: the user's, or that of the phantoms."""
    return config["datasets"][wildcards.dataset]["root"] or in_results(
        f"{wildcards.dataset}/raw"
    )


def salt_argument(wildcards):
    """The secret that draws the test subjects, where they are drawn by one."""
    drawn = how_drawn(config["datasets"][wildcards.dataset]) == SECRET
    return option("--salt", [SALT] * drawn)


def index_inputs(wildcards):
    """The files beside the raw data that decide the index; raw data itself is no input, so a dry run needs none."""
    dataset = config["datasets"][wildcards.dataset]
    phantom = (
        [in_results(f"{wildcards.dataset}/raw/phantom.json")]
        if dataset["phantom"]
        else []
    )
    return phantom + [dataset[key] for key in ("split", "identities") if dataset[key]]


rule index_subjects:
    input:
        index_inputs,
    output:
        in_dataset("subjects.csv"),
    log:
        in_logs("index_subjects/{dataset}.log"),
    benchmark:
        in_benchmarks("index_subjects/{dataset}.tsv")
    retries: 0
    conda:
        "../envs/prepare.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        options=dataset_options,
        images=images_options,
        root=raw_root,
        work=in_runs("{dataset}/index"),
        seed=config["seed"],
        salt=salt_argument,
    shell:
        'python "$UNDERSTUDY/scripts/index_subjects.py" --dataset {wildcards.dataset:q} --options {params.options:q}'
        " --images {params.images:q} --root {params.root:q} --seed {params.seed:q} {params.salt:q}"
        " --work {params.work:q} --output {output:q} --workers {threads:q} > {log:q} 2>&1"


rule slice_volumes:
    input:
        in_dataset("subjects.csv"),
    output:
        train=in_stacks("train.zip"),
        test=in_stacks("test.zip"),
        manifest=in_stacks("stacks.json"),
    log:
        in_logs("slice_volumes/{dataset}.log"),
    benchmark:
        in_benchmarks("slice_volumes/{dataset}.tsv")
    retries: 0
    conda:
        "../envs/prepare.yaml"
    threads: 8
    resources:
        mem_mb=16000,
        runtime=240,
    params:
        options=dataset_options,
        images=images_options,
        root=raw_root,
        work=in_runs("{dataset}/slices"),
    shell:
        'python "$UNDERSTUDY/scripts/slice_volumes.py" --dataset {wildcards.dataset:q} --options {params.options:q}'
        " --images {params.images:q} --root {params.root:q} --index {input:q} --work {params.work:q}"
        " --train {output.train:q} --test {output.test:q} --manifest {output.manifest:q} --workers {threads:q}"
        " > {log:q} 2>&1"
