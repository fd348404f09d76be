# forecast: what the study will cost, from a minute of every training on the actual GPU or from a count of FLOPs; status.
SPEED = f"{RESULTS}/speed/{{model}}.json"


localrules:
    forecast,
    calibrate,
    status,


rule measure_speed:
    output:
        SPEED,
    log:
        f"{LOGS}/measure_speed/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_speed/{{model}}.tsv"
    wildcard_constraints:
        model=one_of(MODELS),
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
        "python scripts/measure_speed.py --model {wildcards.model:q} --options {params.options:q}"
        " --channels {params.channels:q} --labels {params.labels:q} --size {params.size:q} --output {output:q}"
        " --gpus {resources.gpu:q} --device {resources.device:q} --threads {threads:q} > {log:q} 2>&1"


rule calibrate:
    input:
        expand(SPEED, model=MODELS),


# No output and no benchmark, so it runs whenever asked; no input: without measurements it counts FLOPs and says so.
rule forecast:
    log:
        f"{LOGS}/forecast.log",
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
        "python scripts/forecast.py --config {params.results:q}/config.yaml --json {params.results:q}/forecast.json"
        " --workers {threads:q} --gpus-of {params.gpus:q} 2>&1 | tee {log:q}"


# As forecast, it runs whenever asked. While another Snakemake runs here: --nolock.
rule status:
    log:
        f"{LOGS}/status.log",
    conda:
        "../envs/forecast.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        results=results_folder,
    shell:
        "python scripts/show_status.py --config {params.results:q}/config.yaml 2>&1 | tee {log:q}"
