# release: audited images -> a folder that may leave the house, or a refusal with its reasons.
RELEASE = f"{DATASET}/release/{{generator}}"
SHARED_IMAGES = config["release"]["images"]  # samples, filtered


rule make_release:
    input:
        images=ancient(f"{GENERATOR}/{SHARED_IMAGES}.zip"),
        image_manifest=f"{GENERATOR}/{SHARED_IMAGES}.json",
        audit=f"{GENERATOR}/{RELEASE_AUDITS[SHARED_IMAGES]}",
        manifest=f"{STACKS}/stacks.json",
        training=f"{GENERATOR}/weights.json",
        weights=ancient(released_weights("weights.safetensors")),
        weights_audit=released_weights(RELEASE_AUDITS["samples"]),
        weights_samples=released_weights("samples.json"),
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
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        options=release_options,
        more=release_arguments,
        output=lambda wildcards, output: Path(output.sums).parent,
    shell:
        "python scripts/make_release.py --dataset {wildcards.dataset} --generator {wildcards.generator}"
        " --options {params.options:q} --images {input.images} --audit {input.audit} --manifest {input.manifest}"
        " --training {input.training} {params.more} --output {params.output} > {log} 2>&1"
