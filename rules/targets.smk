# Targets: what a person asks for by name (`all`, the default, stands in workflow/Snakefile).
from understudy.study.sources import bases_of, learned_before


localrules:
    prepare,
    segmenters,
    tables,
    figures,
    audit,
    release,
    report,
    challenge,
    exports,
    reader_study,


def using(generator):
    """The settings that learn from images of a generator, of whichever training."""
    return [s for s in SETTINGS if generator in bases_of(s.training_set)]


# what is learned first is a training set of its own
EXPORTED = [name for name in all_training_sets(config) if not learned_before(name)]


rule prepare:
    input:
        expand(rules.slice_volumes.output, dataset=config["datasets"]),


rule segmenters:
    input:
        every("scores.csv"),


rule tables:
    input:
        rules.make_tables.output,
        rules.compare_generators.output if config["generators"] else [],
        rules.compare_fidelity.output if SOURCES else [],
        rules.compare_external.output if EXTERNAL else [],
        rules.compare_strata.output.csv if STRATA else [],
        rules.compare_calibration.output.csv if CALIBRATION else [],
        rules.compare_network_ensembles.output if ENSEMBLES_OF_NETWORKS else [],


rule figures:
    input:
        expand(rules.make_figures.output, dataset=config["datasets"]),


rule audit:
    input:
        rules.compare_audits.output if SOURCES else [],


rule release:
    input:
        expand(
            rules.make_release.output,
            dataset=config["datasets"],
            generator=config["release"]["generators"],
        ),


rule report:
    input:
        rules.make_report.output,


# asked for by name alone; its leaderboard is printed at the end
rule challenge:
    input:
        rules.make_leaderboard.output if accepted(config) else [],


# asked for by name alone: every training set, once
rule exports:
    input:
        expand(
            rules.export_training_set.output,
            dataset=config["datasets"],
            training_set=EXPORTED,
        ),


rule reader_study:
    input:
        expand(rules.make_reader_study.output, dataset=config["datasets"])
        + rules.read_answers.output
        if config["reader_study"]["generators"]
        else [],


# one target per experiment: its table and figure, and all that is behind them
for experiment in EXPERIMENTS:

    rule:
        name:
            experiment
        input:
            expand(rules.compare_experiment.output, experiment=experiment),
        localrule: True


# one target per generator: its branch in every dataset, from training to the scores of all that learned from it
for generator in config["generators"]:

    rule:
        name:
            generator
        input:
            expand(
                rules.sample_generator.output,
                dataset=config["datasets"],
                generator=generator,
            ),
            expand(
                rules.score_fidelity.output,
                dataset=config["datasets"],
                generator=generator,
            ),
            every("scores.csv", using(generator)),
        localrule: True


# one target per look before the last: its trainings, and what it decides
for look in range(1, len(LOOKS)):

    rule:
        name:
            f"look{look}"
        input:
            look_file(config["results"], look),
        localrule: True


onsuccess:
    if accepted(config) and "challenge" in workflow.dag_settings.targets:
        print(f"\n{Path(in_results('tables/leaderboard.md')).read_text()}")
    answers = Path(rules.make_report.output.answers)
    whole = {*workflow.dag_settings.targets} <= {"all", "report"}
    if (
        whole
        and answers.is_file()
        and os.environ.get("UNDERSTUDY_ANSWERS") != "later"
    ):
        print(f"\n{answers.read_text()}")
    elif config["rehearsal"]:
        print(f"\n{REHEARSAL}")
    if Path(in_results("tables")).is_dir():
        print(
            f"\nTables: {in_results('tables')}   Figures: {in_results('figures')}   Report: {in_results('report.html')}"
            f"   Logs: {in_results('logs')}"
        )


onerror:
    print(
        f"\nA job failed; what was finished is kept. Its log is named above and lies in {in_results('logs')}."
    )
