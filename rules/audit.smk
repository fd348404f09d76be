# audit: synthetic and training stacks -> the nearest training image of each, a verdict, images without copies.
#
# `{prefix}` is empty for a generator's samples, and `filtered_` for those that are left when copies have been replaced.

AUDITED = f"{GENERATOR}/{{prefix}}"
AUDITED_SOURCES = one_of([*SOURCES, *config["experiments"]["controls"]])


rule calibrate_audit:
    input:
        train=ancient(f"{STACKS}/train.zip"),
        test=ancient(f"{STACKS}/test.zip"),
        manifest=f"{STACKS}/stacks.json",
    output:
        real=f"{DATASET}/audit/real.safetensors",
        calibration=f"{DATASET}/audit/calibration.json",
    log:
        f"{LOGS}/calibrate_audit/{{dataset}}.log",
    benchmark:
        f"{BENCHMARKS}/calibrate_audit/{{dataset}}.tsv"
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
        audit=audit_options("null_images", "planted", "false_positive_rate"),
        seed=config["seed"],
        runs=f"{RUNS}/{{dataset}}/audit/calibration",
    shell:
        "python scripts/calibrate_audit.py --train {input.train:q} --test {input.test:q} --audit {params.audit:q}"
        " --seed {params.seed:q} --memory-mb {resources.mem_mb:q} --real {output.real:q}"
        " --output {output.calibration:q} --runs {params.runs:q} --budget-min {resources.runtime:q}"
        " --checkpoint-min {resources.checkpoint_min:q} --on-budget {resources.on_budget:q} --gpus {resources.gpu:q}"
        " --device {resources.device:q} --threads {threads:q} > {log:q} 2>&1"


rule find_nearest:
    input:
        samples=ancient(audited_stack),
        samples_manifest=audited_manifest,
        train=ancient(f"{STACKS}/train.zip"),
        test=ancient(f"{STACKS}/test.zip"),
        manifest=f"{STACKS}/stacks.json",
    output:
        f"{AUDITED}nearest.safetensors",
    log:
        f"{LOGS}/find_nearest/{{dataset}}/{{prefix}}{{generator}}.log",
    benchmark:
        f"{BENCHMARKS}/find_nearest/{{dataset}}/{{prefix}}{{generator}}.tsv"
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
        runs=f"{RUNS}/{{dataset}}/audit/{{generator}}",
    shell:
        "python scripts/find_nearest.py --samples {input.samples:q} --train {input.train:q} --test {input.test:q}"
        " --audit {params.audit:q} --memory-mb {resources.mem_mb:q} --output {output:q} --runs {params.runs:q}"
        " --budget-min {resources.runtime:q} --checkpoint-min {resources.checkpoint_min:q}"
        " --on-budget {resources.on_budget:q} --gpus {resources.gpu:q} --device {resources.device:q}"
        " --threads {threads:q} > {log:q} 2>&1"


rule audit_samples:
    input:
        samples=ancient(audited_stack),
        samples_manifest=audited_manifest,
        train=ancient(f"{STACKS}/train.zip"),
        test=ancient(f"{STACKS}/test.zip"),
        nearest=f"{AUDITED}nearest.safetensors",
        real=f"{DATASET}/audit/real.safetensors",
        calibration=f"{DATASET}/audit/calibration.json",
    output:
        summary=f"{AUDITED}audit.json",
        images=f"{AUDITED}memorization.csv",
        subjects=f"{AUDITED}audit_subjects.csv",
        figure=report(
            f"{AUDITED}memorization.png",
            caption="../workflow/report/audit.rst",
            category="Audit",
            labels={"dataset": "{dataset}", "generator": "{generator}"},
        ),
        figure_pdf=f"{AUDITED}memorization.pdf",
        pairs=multiext(f"{AUDITED}pairs", ".png", ".pdf"),
    log:
        f"{LOGS}/audit_samples/{{dataset}}/{{prefix}}{{generator}}.log",
    benchmark:
        f"{BENCHMARKS}/audit_samples/{{dataset}}/{{prefix}}{{generator}}.tsv"
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
        audit=audit_options("false_positive_rate", "limit", "channel", "details"),
        filtered=filtered_argument,
    shell:
        "python scripts/audit_samples.py --dataset {wildcards.dataset:q}"
        " --generator {wildcards.generator:q} {params.filtered:q} --samples {input.samples:q} --train {input.train:q}"
        " --test {input.test:q} --nearest {input.nearest:q} --calibration {input.calibration:q} --real {input.real:q}"
        " --audit {params.audit:q} --summary {output.summary:q} --images {output.images:q}"
        " --subjects {output.subjects:q} --figure {output.figure:q} --pairs {output.pairs[0]:q} > {log:q} 2>&1"


rule filter_samples:
    input:
        weights=ancient(f"{GENERATOR}/weights.safetensors"),
        samples=ancient(f"{GENERATOR}/samples.zip"),
        manifest=f"{GENERATOR}/samples.json",
        summary=f"{GENERATOR}/audit.json",
        images=f"{GENERATOR}/memorization.csv",
        calibration=f"{DATASET}/audit/calibration.json",
        train=ancient(f"{STACKS}/train.zip"),
    output:
        stack=f"{GENERATOR}/filtered.zip",
        manifest=f"{GENERATOR}/filtered.json",
    log:
        f"{LOGS}/filter_samples/{{dataset}}/{{generator}}.log",
    benchmark:
        f"{BENCHMARKS}/filter_samples/{{dataset}}/{{generator}}.tsv"
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
        audit=audit_options("false_positive_rate", "most_draws"),
        sampling=f"{RUNS}/{{dataset}}/samples/{{generator}}",
        runs=f"{RUNS}/{{dataset}}/audit/{{generator}}",
    shell:
        "python scripts/filter_samples.py --weights {input.weights:q} --samples {input.samples:q}"
        " --summary {input.summary:q} --images {input.images:q} --calibration {input.calibration:q}"
        " --train {input.train:q}"
        " --audit {params.audit:q} --memory-mb {resources.mem_mb:q} --sampling {params.sampling:q}"
        " --output {output.stack:q} --runs {params.runs:q} --budget-min {resources.runtime:q}"
        " --checkpoint-min {resources.checkpoint_min:q} --on-budget {resources.on_budget:q} --gpus {resources.gpu:q}"
        " --device {resources.device:q} --threads {threads:q} > {log:q} 2>&1"


rule compare_audits:
    input:
        AUDITS,
    output:
        csv=report(
            f"{RESULTS}/tables/audit.csv",
            caption="../workflow/report/tables.rst",
            category="Tables",
        ),
        md=f"{RESULTS}/tables/audit.md",
        tex=f"{RESULTS}/tables/audit.tex",
    log:
        f"{LOGS}/compare_audits.log",
    benchmark:
        f"{BENCHMARKS}/compare_audits.tsv"
    retries: 0
    conda:
        "../envs/audit.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
    shell:
        "python scripts/compare_audits.py --summaries {input:q} --output {params.results:q}/tables > {log:q} 2>&1"
