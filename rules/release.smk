# release: audited images -> a folder that may be shared, or a refusal with its reasons.
SHARED_IMAGES = config["release"]["images"]  # samples, filtered
AUDIT_PREFIX = "filtered_" if SHARED_IMAGES == "filtered" else ""


def release_options(wildcards):
    """What a release says of itself; not which ones are made, nor what comes in as a file."""
    left_out = ("generators", "images", "weights", "utility", "salt_file")
    options = {k: v for k, v in config["release"].items() if k not in left_out}
    return canonical_json(options)


def released_weights(name):
    """A file of the generator that is needed to share its weights."""
    return in_generator(name) if config["release"]["weights"] else []


def measured_of_released(name):
    """A table of the generator's images, as they were drawn."""
    return in_generator(name) if config["release"]["utility"] else []


def release_arguments(wildcards, input):
    """The parts of a release that not everybody wants."""
    named = (
        "weights",
        "weights_attack",
        "weights_audit",
        "weights_nearest",
        "weights_samples",
        "table",
        "fidelity",
        "annotation",
    )
    given = {name: input.get(name) for name in named if input.get(name)}
    words = [option(f"--{name.replace('_', '-')}", [given[name]]) for name in given]
    return sum(words, [])


rule make_release:
    input:
        images=ancient(in_generator(f"{SHARED_IMAGES}.zip")),
        image_manifest=in_generator(f"{SHARED_IMAGES}.json"),
        audit=in_generator(f"{AUDIT_PREFIX}audit.json"),
        nearest=in_generator(f"{AUDIT_PREFIX}nearest.safetensors"),
        real=in_dataset("audit/real.safetensors"),
        calibration=in_dataset("audit/calibration.json"),
        train=ancient(in_stacks("train.zip")),
        test=ancient(in_stacks("test.zip")),
        manifest=in_stacks("stacks.json"),
        training=in_generator("weights.json"),
        weights=ancient(released_weights("weights.safetensors")),
        weights_attack=released_weights("weights_attack.json"),
        weights_audit=released_weights("audit.json"),
        weights_nearest=released_weights("nearest.safetensors"),
        weights_samples=ancient(released_weights("samples.zip")),
        table=in_results("tables/dice.csv") if config["release"]["utility"] else [],
        fidelity=measured_of_released("fidelity.csv"),
        annotation=measured_of_released("annotation.csv"),
        licence=config["release"]["licence_file"] or [],
    output:
        images=in_dataset("release/{generator}/images.zip"),
        audit=in_dataset("release/{generator}/audit/audit.json"),
        card=in_dataset("release/{generator}/README.md"),
        privacy=in_dataset("release/{generator}/privacy.html"),
        licence=in_dataset("release/{generator}/LICENSE"),
        citation=in_dataset("release/{generator}/CITATION.cff"),
        croissant=in_dataset("release/{generator}/croissant.json"),
        crate=in_dataset("release/{generator}/ro-crate-metadata.json"),
        verify=in_dataset("release/{generator}/verify.py"),
        sums=in_dataset("release/{generator}/SHA256SUMS"),
    log:
        in_logs("make_release/{dataset}/{generator}.log"),
    benchmark:
        in_benchmarks("make_release/{dataset}/{generator}.tsv")
    retries: 0
    conda:
        "../envs/release.yaml"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        options=release_options,
        audit=audit_options(*JUDGED),
        salt=SALT,
        more=release_arguments,
        output=subpath(output.sums, parent=True),
    shell:
        'python "$UNDERSTUDY/scripts/make_release.py" --dataset {wildcards.dataset:q} --generator {wildcards.generator:q}'
        " --options {params.options:q} --audit-options {params.audit:q} --salt {params.salt:q}"
        " --images {input.images:q} --audit {input.audit:q} --nearest {input.nearest:q} --real {input.real:q}"
        " --calibration {input.calibration:q} --train {input.train:q} --test {input.test:q}"
        " --training {input.training:q} {params.more:q} --output {params.output:q} > {log:q} 2>&1"
