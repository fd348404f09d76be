"""What a study will cost, before anything is spent: Snakemake's own jobs, each with a cost of `costs`."""
