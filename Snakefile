# The definition is workflow/Snakefile; this lets `snakemake` at the root of the project find it.
include: "workflow/Snakefile"


workflow.default_target = (
    "all"  # Snakemake forgets the default target of what it includes
)
