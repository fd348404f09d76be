# evaluate: synthetic images and annotations beside real ones. (Segmentations are scored where they are predicted.)


rule score_fidelity:
    input:
        samples=ancient(f"{GENERATOR}/samples.zip"),
        manifest=f"{GENERATOR}/samples.json",
        train=ancient(f"{STACKS}/train.zip"),
        test=ancient(f"{STACKS}/test.zip"),
        real_manifest=f"{STACKS}/stacks.json",
        weights=ancient(fidelity_weights),
    output:
        fidelity=f"{GENERATOR}/fidelity.csv",
        annotation=f"{GENERATOR}/annotation.csv",
    log:
        f"{LOGS}/score_fidelity/{{dataset}}/{{generator}}.log",
    benchmark:
        f"{BENCHMARKS}/score_fidelity/{{dataset}}/{{generator}}.tsv"
    wildcard_constraints:
        generator=one_of(SOURCES),
    conda:
        "../envs/evaluate.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=240,
        device="auto",
    params:
        options=fidelity_options,
        weights=fidelity_weights_named,
        seed=config["seed"],
        cache=f"{RUNS}/{{dataset}}/features",
    shell:
        "python scripts/score_fidelity.py --dataset {wildcards.dataset:q} --generator {wildcards.generator:q}"
        " --samples {input.samples:q} --train {input.train:q} --test {input.test:q} --options {params.options:q}"
        " --weights {params.weights:q} --seed {params.seed:q} --fidelity {output.fidelity:q}"
        " --annotation {output.annotation:q} --cache {params.cache:q} --gpus {resources.gpu:q}"
        " --device {resources.device:q} --threads {threads:q} > {log:q} 2>&1"


rule compare_fidelity:
    input:
        expand(
            f"{GENERATOR}/{{name}}.csv",
            dataset=config["datasets"],
            generator=SOURCES,
            name=["fidelity", "annotation"],
        ),
    output:
        csv=report(
            expand(
                f"{RESULTS}/tables/{{table}}.csv", table=["fidelity", "annotation"]
            ),
            caption="../workflow/report/fidelity.rst",
            category="Tables",
        ),
        md=expand(f"{RESULTS}/tables/{{table}}.md", table=["fidelity", "annotation"]),
        tex=expand(f"{RESULTS}/tables/{{table}}.tex", table=["fidelity", "annotation"]),
    log:
        f"{LOGS}/compare_fidelity.log",
    benchmark:
        f"{BENCHMARKS}/compare_fidelity.tsv"
    retries: 0
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        results=results_folder,
        datasets=list(config["datasets"]),
        generators=SOURCES,
        published=canonical_json(PUBLISHED),
    shell:
        "python scripts/compare_fidelity.py --results {params.results:q} --datasets {params.datasets:q}"
        " --generators {params.generators:q} --published {params.published:q} --output {params.results:q}/tables"
        " > {log:q} 2>&1"
