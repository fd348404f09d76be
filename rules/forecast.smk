# forecast: what the study will cost, from a minute of every training on the actual GPU or from a count of FLOPs; status.
SPEED = in_results("speed/{model}.json")


localrules:
    forecast,
    calibrate,
    status,


def model_options(wildcards):
    return MODELS[wildcards.model]


rule measure_speed:
    output:
        SPEED,
    log:
        in_logs("measure_speed/{model}.log"),
    benchmark:
        in_benchmarks("measure_speed/{model}.tsv")
    wildcard_constraints:
        model=one_of(timed_models(config)),
    conda:
        "../envs/forecast.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=32000,
        runtime=30,
        device="auto",
    params:
        options=model_options,
        channels=len(config["images"]["channels"]),
        labels=len(config["images"]["labels"]),
        size=config["images"]["size"],
    shell:
        'python "$UNDERSTUDY/scripts/measure_speed.py" --model {wildcards.model:q} --options {params.options:q}'
        " --channels {params.channels:q} --labels {params.labels:q} --size {params.size:q} --output {output:q}"
        + DEVICE


rule calibrate:
    input:
        expand(SPEED, model=timed_models(config)),


def gpus_per_job(wildcards):
    """RULE=GPUS of the rules that a profile or --set-resources gives several GPUs a job."""
    given = workflow.resource_settings.overwrite_resources
    counts = {rule: asked["gpu"].raw for rule, asked in given.items() if "gpu" in asked}
    return [f"{rule}={count}" for rule, count in counts.items() if count not in (0, 1)]


# No output and no benchmark, so it runs whenever asked; no input: without measurements it counts FLOPs and says so.
rule forecast:
    input:
        config=STUDY,
    log:
        in_logs("forecast.log"),
    conda:
        "../envs/forecast.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        results=results_folder,
        gpus=gpus_per_job,
    shell:
        'python "$UNDERSTUDY/scripts/forecast.py" --config {input.config:q} --json {params.results:q}/forecast.json'
        " --workers {threads:q} --gpus-of {params.gpus:q} 2>&1 | tee {log:q}"


# As forecast, it runs whenever asked. While another Snakemake runs here: --nolock.
rule status:
    input:
        config=STUDY,
    log:
        in_logs("status.log"),
    conda:
        "../envs/forecast.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        'python "$UNDERSTUDY/scripts/show_status.py" --config {input.config:q} 2>&1 | tee {log:q}'


# `snakemake -n` ends in a summary by branch. A workflow that uses this one as a module has jobs of its own to show.
if workflow.output_settings.dryrun and workflow.modifier.is_main_snakefile():
    from understudy.forecast.dry_run_summary import install as end_in_a_summary

    end_in_a_summary(workflow, config)
