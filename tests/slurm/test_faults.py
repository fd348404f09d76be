"""A training goes through what a cluster does to it, and ends in the weights of an undisturbed one, bit for bit.

Each case is seen in files and in SLURM's own accounting. The cases run side by side, in studies of their own, as most
of their time is waiting; a test then looks at what its case has left. What would disturb the others (a dead controller,
jobs of one minute) is in test_limits.py.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from study import WEIGHTS, Study, goes_on_without_loss, kill_snakemake, places, states, wait_for_states

AT_ONCE = 3  # cases; the machine has two cores, and each case two or three jobs


def preemption(make, cluster):
    study = make(train_generator={"slurm_partition": "low"})
    snakemake = study.start(WEIGHTS)
    job = study.job_of_training()
    node = study.node_of(job)
    before = study.checkpoint()
    cluster.submit("--partition=high", "--exclusive", f"--nodelist={node}", "--wrap=sleep 5")
    study.finish(snakemake)
    return study, (job, before)


def cancelled(make, cluster):
    study = make()
    snakemake = study.start(WEIGHTS, "segmenters")
    job = study.job_of_training()
    before = study.checkpoint()
    cluster.run("scancel", str(job))
    study.finish(snakemake)
    return study, (job, before)


def dead_node(make, cluster):
    study = make(train_generator={"slurm_partition": "fragile"})
    snakemake = study.start(WEIGHTS)
    job = study.job_of_training()
    node = study.node_of(job)
    assert node == cluster.nodes[0]
    before = study.checkpoint()
    cluster.kill_node(node)
    study.finish(snakemake)
    return study, (node, before)


def out_of_memory(make, cluster):
    study = make(train_generator={"mem_mb": "330 if attempt == 1 else 2000"})
    study.finish(study.start(WEIGHTS))
    return study, None


def orphan(make, cluster):
    study = make()
    snakemake = study.start(WEIGHTS)
    job = study.job_of_training()
    kill_snakemake(snakemake)
    study.made("--unlock", "--profile", "profiles/local", "--configfile", "config/study.yaml")
    running = cluster.state(job)
    study.finish(study.start(WEIGHTS))
    return study, (job, running)


def no_sacct(make, cluster):
    study = make(partition_file=True)
    study.finish(study.start(WEIGHTS))
    return study, None


CASES = {case.__name__: case for case in (preemption, cancelled, dead_node, out_of_memory, orphan, no_sacct)}


@pytest.fixture(scope="module")
def fragile_node(cluster):
    """The first node is for the case that kills it; it has another one in its partition to go on with."""
    first, second, *_ = cluster.nodes
    usual = ("cpu", "gpu", "low", "high")
    for partition in usual:
        cluster.run("scontrol", "update", f"PartitionName={partition}", f"Nodes={','.join(cluster.nodes[1:])}")
    cluster.run("scontrol", "create", "PartitionName=fragile", f"Nodes={first},{second}", "MaxTime=60")
    cluster.run("scontrol", "update", f"NodeName={second}", "Weight=10")  # the first is taken before it
    yield
    for partition in usual:
        cluster.run("scontrol", "update", f"PartitionName={partition}", "Nodes=ALL")
    cluster.heal()


@pytest.fixture(scope="module")
def outcomes(request, cluster, fragile_node, prepared, tmp_path_factory):
    """case -> the future of what it returns, for the cases whose tests were asked for."""

    asked = [name for name in CASES if any(item.name == f"test_{name}" for item in request.session.items)]
    clusters = dict.fromkeys(asked, cluster)
    if "no_sacct" in asked:
        clusters["no_sacct"] = request.getfixturevalue("cluster_without_sacct")

    def run(name):
        def make(**changes):
            return Study(tmp_path_factory.mktemp(name) / "study", clusters[name], prepared.folder, **changes)

        return CASES[name](make, clusters[name])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(run, name) for name in asked}


def test_preemption(outcomes, undisturbed):
    """By a partition of higher priority: SLURM starts the job again under its number."""
    study, (job, before) = outcomes["preemption"].result()
    lines = goes_on_without_loss(study, undisturbed.weights)
    assert len(places(lines)) == 2 and places(lines)[1] >= before > 0
    wait_for_states(study, "train_generator", ["PREEMPTED", "COMPLETED"])
    assert {line["job"] for line in lines if line["event"] == "start"} == {str(job)}


def test_cancelled(outcomes, undisturbed):
    """scancel of one job: Snakemake submits it again, the others go on."""
    study, (job, before) = outcomes["cancelled"].result()
    lines = goes_on_without_loss(study, undisturbed.weights)
    assert places(lines)[-1] >= before > 0
    records = wait_for_states(study, "train_generator", ["CANCELLED", "COMPLETED"])
    assert records[0]["JobID"] == str(job)
    wait_for_states(study, "train_segmenter", ["COMPLETED"] * 2)
    assert len(list(study.folder.glob("results/made/segmenters/unet/real/plain/repeat*/scores.csv"))) == 2


def test_dead_node(outcomes, undisturbed):
    """Its power is cut in the middle of the training: another node goes on."""
    study, (node, before) = outcomes["dead_node"].result()
    lines = goes_on_without_loss(study, undisturbed.weights)
    assert places(lines)[1] >= before > 0
    assert [line["event"] for line in lines] == ["start", "start", "end"]  # the dead do not write
    records = wait_for_states(study, "train_generator", ["NODE_FAIL", "COMPLETED"])
    assert records[0]["NodeList"] == node != records[1]["NodeList"]


def test_out_of_memory(outcomes, undisturbed, cluster):
    """A job that had too little memory is submitted again with more."""
    study, _ = outcomes["out_of_memory"].result()
    goes_on_without_loss(study, undisturbed.weights)
    study.wait(lambda: states(study.jobs("train_generator"))[1:] == ["COMPLETED"], 30, "the second job on record")
    first, second = study.jobs("train_generator")
    assert first["State"] != "COMPLETED"
    steps = cluster.accounting(int(first["JobID"]), steps=True)
    assert "OUT_OF_MEMORY" in states(steps) or not cluster.plan.cgroups
    assert "mem=330M" in first["ReqTRES"] and "mem=2000M" in second["ReqTRES"]


def test_orphan(outcomes, undisturbed):
    """Snakemake is killed with -9 and started again while its job runs: that job hands over to the new one. Never two
    write at once, and no work is lost."""
    study, (job, running) = outcomes["orphan"].result()
    assert running == "RUNNING"
    lines = goes_on_without_loss(study, undisturbed.weights)
    history = [(line["event"], line.get("reason")) for line in lines]
    assert history == [("start", None), ("end", "asked"), ("start", None), ("end", "finished")]
    assert lines[2]["images_seen"] == lines[1]["images_seen"] > 0
    assert lines[0]["job"] == str(job) != lines[2]["job"]
    wait_for_states(study, "train_generator", ["FAILED", "COMPLETED"])


def test_no_sacct(outcomes, undisturbed):
    """A cluster without accounting: the profile asks squeue. The partition is chosen by the shipped partition file."""
    study, _ = outcomes["no_sacct"].result()
    goes_on_without_loss(study, undisturbed.weights)
    own = [row for row in study.cluster.queue() if row["Comment"].startswith("rule_train_generator")]
    assert [(row["State"], row["Partition"]) for row in own] == [("COMPLETED", "gpu")]
