# The rules that made the images of this folder, as a workflow for images of your own. What decided how these were made,
# and the version of understudy, are in ro-crate-metadata.json. Images of patients are not in the folder.
#
#   snakemake --snakefile workflow.smk --config understudy=/path/to/understudy/workflow/Snakefile --configfile STUDY.yaml all
#
# STUDY.yaml is a config of understudy, which says where your images are (config/README.md of understudy).
module understudy:
    snakefile:
        config["understudy"]
    config:
        {key: value for key, value in config.items() if key != "understudy"}


use rule * from understudy
