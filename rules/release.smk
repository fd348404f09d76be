# release: audited images -> a folder that may be shared, or a refusal with its reasons.
from understudy.study.release_files import release_files, release_folder
from understudy.study.release_files import release_options

RELEASED = release_files(config, "{dataset}", "{generator}")


def released(name):
    """A file that a release is made from; none where it is no part of one."""
    return RELEASED.get(name, [])


def in_release(path):
    return f"{release_folder(config, '{dataset}', '{generator}')}/{path}"


def release_texts(wildcards):
    """A function, as Snakemake would take {words} in a title for wildcards."""
    return canonical_json(release_options(config))


def release_arguments(wildcards, input):
    words = [option(f"--{n.replace('_', '-')}", [input.get(n)]) for n in RELEASED]
    return sum(words, [])


rule make_release:
    input:
        images=ancient(released("images")),
        image_manifest=str(Path(RELEASED["images"]).with_suffix(".json")),
        audit=released("audit"),
        nearest=released("nearest"),
        real=released("real"),
        calibration=released("calibration"),
        train=ancient(released("train")),
        test=ancient(released("test")),
        manifest=in_stacks("stacks.json"),
        training=released("training"),
        weights=ancient(released("weights")),
        weights_attack=released("weights_attack"),
        weights_audit=released("weights_audit"),
        weights_nearest=released("weights_nearest"),
        weights_samples=ancient(released("weights_samples")),
        table=released("table"),
        fidelity=released("fidelity"),
        annotation=released("annotation"),
        licence=config["release"]["licence_file"] or [],
    output:
        images=in_release("images.zip"),
        audit=in_release("audit/audit.json"),
        card=in_release("README.md"),
        privacy=in_release("privacy.html"),
        licence=in_release("LICENSE"),
        citation=in_release("CITATION.cff"),
        croissant=in_release("croissant.json"),
        datacite=in_release("datacite.json"),
        zenodo=in_release(".zenodo.json"),
        healthdcat=in_release("healthdcat-ap.jsonld"),
        sbom=in_release("sbom.spdx.json"),
        crate=in_release("ro-crate-metadata.json"),
        workflow=in_release("workflow.smk"),
        verify=in_release("verify.py"),
        sums=in_release("SHA256SUMS"),
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
        options=release_texts,
        audit=audit_options(*JUDGED),
        salt=SALT,
        files=release_arguments,
        output=subpath(output.sums, parent=True),
    shell:
        'python "$UNDERSTUDY/scripts/make_release.py" --dataset {wildcards.dataset:q} --generator {wildcards.generator:q}'
        " --options {params.options:q} --audit-options {params.audit:q} --salt {params.salt:q} {params.files:q}"
        " --output {params.output:q} > {log:q} 2>&1"
