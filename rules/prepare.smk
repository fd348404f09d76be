# prepare: raw NIfTI -> an index that has been checked to the last byte -> PNG stacks.


rule make_phantom:
    output:
        f"{DATASET}/raw/phantom.json",
    log:
        f"{LOGS}/make_phantom/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/make_phantom/{{dataset}}.tsv"
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
        "python scripts/make_phantom.py --options {params.options:q} --output {output:q} --workers {threads:q}"
        " > {log:q} 2>&1"


rule index_subjects:
    input:
        index_inputs,
    output:
        f"{DATASET}/subjects.csv",
    log:
        f"{LOGS}/index_subjects/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/index_subjects/{{dataset}}.tsv"
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
        work=f"{RUNS}/{{dataset}}/index",
        seed=config["seed"],
        salt=salt_argument,
    shell:
        "python scripts/index_subjects.py --dataset {wildcards.dataset:q} --options {params.options:q}"
        " --images {params.images:q} --root {params.root:q} --seed {params.seed:q} {params.salt:q}"
        " --work {params.work:q} --output {output:q} --workers {threads:q} > {log:q} 2>&1"


rule slice_volumes:
    input:
        f"{DATASET}/subjects.csv",
    output:
        train=f"{STACKS}/train.zip",
        test=f"{STACKS}/test.zip",
        manifest=f"{STACKS}/stacks.json",
    log:
        f"{LOGS}/slice_volumes/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/slice_volumes/{{dataset}}.tsv"
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
        work=f"{RUNS}/{{dataset}}/slices",
    shell:
        "python scripts/slice_volumes.py --dataset {wildcards.dataset:q} --options {params.options:q}"
        " --images {params.images:q} --root {params.root:q} --index {input:q} --work {params.work:q}"
        " --train {output.train:q} --test {output.test:q} --manifest {output.manifest:q} --workers {threads:q}"
        " > {log:q} 2>&1"
