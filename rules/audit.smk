# audit: synthetic and training stacks -> the nearest training image of each, a verdict, images without copies.
#
# `{prefix}` is empty for a generator's samples, and `filtered_` for those that are left when copies have been replaced.

from understudy.config.audit import CALIBRATED, JUDGED, SEARCH

AUDITED_SOURCES = one_of([*SOURCES, *config["experiments"]["controls"]])


def audits(wildcards):
    """The summaries of all images that are audited."""
    look_first()
    return audit_files(config)


def audit_options(*keys):
    """What decides a search, and more keys of the section."""
    return canonical_json({key: config["audit"][key] for key in [*SEARCH, *keys]})


rule calibrate_audit:
    input:
        train=ancient(in_stacks("train.zip")),
        test=ancient(in_stacks("test.zip")),
        manifest=in_stacks("stacks.json"),
    output:
        real=in_dataset("audit/real.safetensors"),
        calibration=in_dataset("audit/calibration.json"),
    log:
        in_logs("calibrate_audit/{dataset}.log"),
    benchmark:
        in_benchmarks("calibrate_audit/{dataset}.tsv")
    conda:
        "../envs/audit.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=64000,
        runtime=480,
        checkpoint_min=30,
        on_budget="exit",
        device="auto",
    params:
        audit=audit_options(*CALIBRATED, "planted"),
        seed=config["seed"],
        runs=in_runs("{dataset}/audit/calibration"),
    shell:
        'python "$UNDERSTUDY/scripts/calibrate_audit.py" --train {input.train:q} --test {input.test:q}'
        " --audit {params.audit:q} --seed {params.seed:q} --memory-mb {resources.mem_mb:q} --real {output.real:q}"
        " --output {output.calibration:q}" + RESUMABLE


def audited_stack(wildcards):
    """The images of a generator that are audited."""
    name = "filtered" if wildcards.prefix else "samples"
    return in_generator(f"{name}.zip").format(**wildcards)


def audited_manifest(wildcards):
    return audited_stack(wildcards).removesuffix(".zip") + ".json"


rule find_nearest:
    input:
        samples=ancient(audited_stack),
        samples_manifest=audited_manifest,
        train=ancient(in_stacks("train.zip")),
        test=ancient(in_stacks("test.zip")),
        manifest=in_stacks("stacks.json"),
    output:
        in_generator("{prefix}nearest.safetensors"),
    log:
        in_logs("find_nearest/{dataset}/{prefix}{generator}.log"),
    benchmark:
        in_benchmarks("find_nearest/{dataset}/{prefix}{generator}.tsv")
    wildcard_constraints:
        generator=AUDITED_SOURCES,
    conda:
        "../envs/audit.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=64000,
        runtime=480,
        checkpoint_min=30,
        on_budget="exit",
        device="auto",
    params:
        audit=audit_options("nearest"),
        runs=in_runs("{dataset}/audit/{generator}"),
    shell:
        'python "$UNDERSTUDY/scripts/find_nearest.py" --samples {input.samples:q} --train {input.train:q}'
        " --test {input.test:q} --audit {params.audit:q} --memory-mb {resources.mem_mb:q} --output {output:q}"
        + RESUMABLE


def filtered_argument(wildcards):
    return "--filtered" if wildcards.prefix else ""


rule audit_samples:
    input:
        samples=ancient(audited_stack),
        samples_manifest=audited_manifest,
        train=ancient(in_stacks("train.zip")),
        test=ancient(in_stacks("test.zip")),
        nearest=in_generator("{prefix}nearest.safetensors"),
        real=in_dataset("audit/real.safetensors"),
        calibration=in_dataset("audit/calibration.json"),
    output:
        summary=in_generator("{prefix}audit.json"),
        images=in_generator("{prefix}memorization.csv"),
        subjects=in_generator("{prefix}audit_subjects.csv"),
        privacy=report(
            in_generator("{prefix}privacy.html"),
            caption="../workflow/report/privacy.rst",
            category="Audit",
            labels={"dataset": "{dataset}", "generator": "{generator}"},
        ),
        figure=report(
            in_generator("{prefix}memorization.png"),
            caption="../workflow/report/audit.rst",
            category="Audit",
            labels={"dataset": "{dataset}", "generator": "{generator}"},
        ),
        figure_pdf=in_generator("{prefix}memorization.pdf"),
        pairs=multiext(in_generator("{prefix}pairs"), ".png", ".pdf"),
    log:
        in_logs("audit_samples/{dataset}/{prefix}{generator}.log"),
    benchmark:
        in_benchmarks("audit_samples/{dataset}/{prefix}{generator}.tsv")
    wildcard_constraints:
        generator=AUDITED_SOURCES,
    retries: 0
    conda:
        "../envs/audit.yaml"
    threads: 1
    resources:
        mem_mb=16000,
        runtime=60,
    params:
        audit=audit_options(*JUDGED, "channel", "details"),
        filtered=filtered_argument,
    shell:
        'python "$UNDERSTUDY/scripts/audit_samples.py" --dataset {wildcards.dataset:q}'
        " --generator {wildcards.generator:q} {params.filtered:q} --samples {input.samples:q} --train {input.train:q}"
        " --test {input.test:q} --nearest {input.nearest:q} --calibration {input.calibration:q} --real {input.real:q}"
        " --audit {params.audit:q} --summary {output.summary:q} --images {output.images:q}"
        " --subjects {output.subjects:q} --privacy {output.privacy:q} --figure {output.figure:q} --pairs {output.pairs[0]:q} > {log:q} 2>&1"


rule filter_samples:
    input:
        weights=ancient(in_generator("weights.safetensors")),
        samples=ancient(in_generator("samples.zip")),
        manifest=in_generator("samples.json"),
        summary=in_generator("audit.json"),
        images=in_generator("memorization.csv"),
        calibration=in_dataset("audit/calibration.json"),
        train=ancient(in_stacks("train.zip")),
    output:
        stack=in_generator("filtered.zip"),
        manifest=in_generator("filtered.json"),
    log:
        in_logs("filter_samples/{dataset}/{generator}.log"),
    benchmark:
        in_benchmarks("filter_samples/{dataset}/{generator}.tsv")
    conda:
        "../envs/audit.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=64000,
        runtime=480,
        checkpoint_min=30,
        on_budget="exit",
        device="auto",
    params:
        audit=audit_options("filter_views", "false_positive_rate", "most_draws"),
        sampling=in_runs("{dataset}/samples/{generator}"),
        runs=in_runs("{dataset}/audit/{generator}"),
    shell:
        'python "$UNDERSTUDY/scripts/filter_samples.py" --weights {input.weights:q} --samples {input.samples:q}'
        " --summary {input.summary:q} --images {input.images:q} --calibration {input.calibration:q}"
        " --train {input.train:q} --audit {params.audit:q} --memory-mb {resources.mem_mb:q}"
        " --sampling {params.sampling:q} --output {output.stack:q}" + RESUMABLE


rule attack_weights:
    input:
        weights=ancient(in_generator("weights.safetensors")),
        train=ancient(in_stacks("train.zip")),
        test=ancient(in_stacks("test.zip")),
        manifest=in_stacks("stacks.json"),
    output:
        in_generator("weights_attack.json"),
    log:
        in_logs("attack_weights/{dataset}/{generator}.log"),
    benchmark:
        in_benchmarks("attack_weights/{dataset}/{generator}.tsv")
    conda:
        "../envs/audit.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=240,
        device="auto",
    params:
        seed=config["seed"],
    shell:
        'python "$UNDERSTUDY/scripts/attack_weights.py" --weights {input.weights:q} --train {input.train:q}'
        " --test {input.test:q} --seed {params.seed:q} --device {resources.device:q} --threads {threads:q}"
        " --output {output:q} > {log:q} 2>&1"


rule compare_audits:
    input:
        audits,
    output:
        tables_made_by("compare_audits"),
    log:
        in_logs("compare_audits.log"),
    benchmark:
        in_benchmarks("compare_audits.tsv")
    retries: 0
    conda:
        "../envs/audit.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
        rehearsal=REHEARSED,
    shell:
        'python "$UNDERSTUDY/scripts/compare_audits.py" --summaries {input:q} {params.rehearsal:q}'
        " --output {params.results:q}/tables > {log:q} 2>&1"
