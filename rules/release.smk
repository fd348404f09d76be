# release: audited images -> a folder that may leave the house, or a refusal with its reasons.
RELEASE = f"{DATASET}/release/{{generator}}"
SHARED_IMAGES = config["release"]["images"]  # samples, filtered


rule make_release:
    input:
        images=ancient(f"{GENERATOR}/{SHARED_IMAGES}.zip"),
        image_manifest=f"{GENERATOR}/{SHARED_IMAGES}.json",
        audit=f"{GENERATOR}/{RELEASE_PREFIX[SHARED_IMAGES]}audit.json",
        nearest=f"{GENERATOR}/{RELEASE_PREFIX[SHARED_IMAGES]}nearest.safetensors",
        real=f"{DATASET}/audit/real.safetensors",
        calibration=f"{DATASET}/audit/calibration.json",
        train=ancient(f"{STACKS}/train.zip"),
        test=ancient(f"{STACKS}/test.zip"),
        manifest=f"{STACKS}/stacks.json",
        training=f"{GENERATOR}/weights.json",
        weights=ancient(released_weights("weights.safetensors")),
        weights_audit=released_weights("audit.json"),
        weights_nearest=released_weights("nearest.safetensors"),
        weights_samples=ancient(released_weights("samples.zip")),
        table=f"{RESULTS}/tables/dice.csv" if config["release"]["utility"] else [],
        licence=config["release"]["licence_file"] or [],
    output:
        images=f"{RELEASE}/images.zip",
        audit=f"{RELEASE}/audit/audit.json",
        card=f"{RELEASE}/README.md",
        licence=f"{RELEASE}/LICENSE",
        citation=f"{RELEASE}/CITATION.cff",
        croissant=f"{RELEASE}/croissant.json",
        crate=f"{RELEASE}/ro-crate-metadata.json",
        verify=f"{RELEASE}/verify.py",
        sums=f"{RELEASE}/SHA256SUMS",
    log:
        f"{LOGS}/make_release/{{dataset}}/{{generator}}.log",
    benchmark:
        f"{BENCHMARKS}/make_release/{{dataset}}/{{generator}}.tsv"
    retries: 0
    conda:
        "../envs/release.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        options=release_options,
        audit=audit_options("false_positive_rate", "limit"),
        salt=SALT,
        more=release_arguments,
        output=subpath(output.sums, parent=True),
    shell:
        "python scripts/make_release.py --dataset {wildcards.dataset:q} --generator {wildcards.generator:q}"
        " --options {params.options:q} --audit-options {params.audit:q} --salt {params.salt:q}"
        " --images {input.images:q} --audit {input.audit:q} --nearest {input.nearest:q} --real {input.real:q}"
        " --calibration {input.calibration:q} --train {input.train:q} --test {input.test:q}"
        " --training {input.training:q} {params.more:q} --output {params.output:q} > {log:q} 2>&1"
