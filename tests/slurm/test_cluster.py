"""The throw-away cluster behaves as a real one where our tests lean on it. No Snakemake here."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import cluster as cluster_module
import pytest
import slurm_processes as processes
from cluster import Cluster

WAITS_ONCE = '[ "$SLURM_RESTART_COUNT" ] || sleep 1000'  # the first time, until something ends it


def outcomes(cluster: Cluster, job: int) -> list[str]:
    """One state for each time that the job ran."""
    return [record["State"] for record in cluster.accounting(job)]


def wait_for(cluster: Cluster, job: int, state: str, seconds: float = 60) -> None:
    cluster.wait(lambda: cluster.state(job) == state, seconds, f"job {job} to be {state}")


def wait_for_outcomes(cluster: Cluster, job: int, expected: list[str]) -> None:
    cluster.wait(lambda: outcomes(cluster, job) == expected, 60, f"records of job {job} to say {expected}")


class LostJob(NamedTuple):
    id: int
    node: str
    processes: set[int]
    notice: Path  # its parent process makes this file if it sees its child die


@pytest.fixture(scope="module")
def lost_job(cluster, tmp_path_factory):
    """A job whose node is killed. It takes SLURM 45 s to run it again: other tests go on meanwhile, on other nodes."""
    folder = tmp_path_factory.mktemp("lost")
    # the child leaves its parent's session
    script = f"(setsid sleep 1000; touch {folder}/notice) & echo $$ > {folder}/pid; {WAITS_ONCE}; echo done"
    job = cluster.submit("--requeue", f"--wrap={script}")
    wait_for(cluster, job, "RUNNING")
    cluster.wait((folder / "pid").exists, 10, "the job to write its pid")
    inside = processes.with_descendants({int((folder / "pid").read_text())})
    (node,) = [row["NodeList"] for row in cluster.queue() if row["JobID"] == str(job)]
    assert node == cluster.nodes[0]  # other tests use other nodes
    cluster.kill_node(node)
    return LostJob(job, node, inside, folder / "notice")


def test_all_processes_of_a_killed_node_die_unnoticed(cluster, lost_job):
    assert len(lost_job.processes) >= 3
    assert not [pid for pid in lost_job.processes if processes.runs(pid)]
    assert not lost_job.notice.exists()
    assert cluster.state(lost_job.id) == "RUNNING"  # nobody has told the controller


def test_jobs_see_their_own_gpus(cluster):
    show = "--wrap=echo $CUDA_VISIBLE_DEVICES; sleep 3"
    node = f"--nodelist={cluster.nodes[1]}"
    jobs = [cluster.submit("--gpus=a100:1", node, show), cluster.submit("--gpus=a100:1", node, show)]
    both = cluster.submit("--gpus=a100:2", f"--nodelist={cluster.nodes[2]}", show)
    for job in (*jobs, both):
        wait_for(cluster, job, "COMPLETED")
    assert sorted(cluster.output(job) for job in jobs) == ["0\n", "1\n"]
    assert cluster.output(both) == "0,1\n"
    cluster.wait(lambda: cluster.accounting(both), 30, "the record")
    assert "gres/gpu=2" in cluster.accounting(both)[0]["AllocTRES"]


def test_more_gpus_than_there_are_and_a_wrong_account_are_refused(cluster):
    for wrong in ("--gpus-per-node=3", "--gpus=h100:1", "--account=nobody", "--time=2-00:01:00"):
        with pytest.raises(RuntimeError, match="submission failed"):
            print(wrong, "became job", cluster.submit(wrong, "--wrap=true"))


def test_memory_above_the_limit_ends_the_job(cluster):
    eat = f"{sys.executable} -c 'import time; x = bytearray(600 << 20); time.sleep(20)'"
    job = cluster.submit("--mem=100", f"--nodelist={cluster.nodes[2]}", f"--wrap=srun -n1 {eat}")
    ended = ("COMPLETED", "FAILED", "CANCELLED", "OUT_OF_MEMORY")
    cluster.wait(lambda: cluster.state(job) in ended, 60, "the job to end")
    expected = {"OUT_OF_MEMORY"} if cluster.plan.cgroups else {"OUT_OF_MEMORY", "CANCELLED by 0", "CANCELLED"}

    def states():
        return {record["State"] for record in cluster.accounting(job, steps=True)}

    cluster.wait(lambda: states() & expected, 30, f"one of {expected} in the records")


def test_high_takes_the_place_of_low(cluster):
    all_of_it = [f"--nodelist={cluster.nodes[3]}", "--exclusive"]
    low = cluster.submit("--partition=low", *all_of_it, f"--wrap={WAITS_ONCE}; echo done")
    wait_for(cluster, low, "RUNNING")
    high = cluster.submit("--partition=high", *all_of_it, "--wrap=true")
    wait_for(cluster, high, "COMPLETED")
    wait_for(cluster, low, "COMPLETED")
    wait_for_outcomes(cluster, low, ["PREEMPTED", "COMPLETED"])
    assert "PREEMPTION" in cluster.output(low)
    assert cluster.output(low).endswith("done\n")


@pytest.mark.usefixtures("healed")
def test_job_of_a_killed_node_runs_again_under_its_id(cluster, lost_job):
    wait_for(cluster, lost_job.id, "COMPLETED", 90)
    wait_for_outcomes(cluster, lost_job.id, ["NODE_FAIL", "COMPLETED"])
    first, second = cluster.accounting(lost_job.id)
    assert first["NodeList"] == lost_job.node != second["NodeList"]
    assert cluster.output(lost_job.id) == "done\n"
    cluster.start_node(lost_job.node)


@pytest.mark.usefixtures("healed")
def test_node_that_is_reported_dead_fails_its_jobs_at_once(cluster):
    job = cluster.submit("--no-requeue", f"--nodelist={cluster.nodes[0]}", "--wrap=sleep 1000")
    wait_for(cluster, job, "RUNNING")
    cluster.kill_node(cluster.nodes[0], reported=True)
    wait_for(cluster, job, "NODE_FAIL", 5)
    cluster.start_node(cluster.nodes[0])


@pytest.mark.usefixtures("healed")
def test_job_outlives_the_controller(cluster):
    job = cluster.submit("--wrap=sleep 9; echo done")
    wait_for(cluster, job, "RUNNING")
    time.sleep(6)  # until the controller has saved that
    cluster.kill_controller()
    cluster.start_controller()
    wait_for(cluster, job, "COMPLETED")
    wait_for_outcomes(cluster, job, ["COMPLETED"])
    assert cluster.output(job) == "done\n"


def test_without_a_database_sacct_fails(cluster_without_sacct):
    job = cluster_without_sacct.submit("--gpus=a100:1", "--wrap=true")
    wait_for(cluster_without_sacct, job, "COMPLETED")
    with pytest.raises(RuntimeError, match="accounting storage is disabled"):
        cluster_without_sacct.accounting()


@pytest.mark.usefixtures("healed")
def test_database_can_be_away(cluster):
    cluster.kill_database()
    with pytest.raises(RuntimeError, match="Connection refused"):
        cluster.accounting()
    job = cluster.submit("--wrap=true")
    wait_for(cluster, job, "COMPLETED")
    cluster.start_database()
    wait_for_outcomes(cluster, job, ["COMPLETED"])


def test_stop_ends_jobs_too(cluster_without_sacct, tmp_path):
    """The other cluster, on the same machine at the same time, does not notice."""
    with Cluster(tmp_path / "own", nodes=1, accounting=False) as own:
        job = own.submit(f"--wrap=echo $$ > {tmp_path}/pid; (setsid srun sleep 1000 &) ; sleep 1000")
        own.wait((tmp_path / "pid").exists, 30, "the job to start")
        inside = processes.of_node(own.nodes[0], own.plan.log(own.nodes[0]))
        assert int((tmp_path / "pid").read_text()) in inside
        assert own.state(job) == "RUNNING"
    assert not [pid for pid in inside if processes.runs(pid)]
    assert own.leftovers() == []
    assert cluster_without_sacct.run("sinfo", "--noheader", "--partition=cpu", "--format=%T %D") == "idle 4\n"


def test_a_start_that_fails_leaves_nothing(cluster_without_sacct, tmp_path):
    broken = Cluster(tmp_path / "broken", nodes=2, accounting=False)
    broken._commands[broken.nodes[1]] = ["false"]
    with pytest.raises(RuntimeError, match=f"{broken.nodes[1]} ended with 1"):
        broken.start()
    assert broken.leftovers() == []


def test_what_a_killed_starter_leaves_can_be_ended(cluster_without_sacct, tmp_path):
    folder = tmp_path / "left"
    script = [sys.executable, Path(cluster_module.__file__)]
    starter = subprocess.Popen([*script, "--nodes=1", "--no-accounting", folder], stdout=subprocess.PIPE, text=True)
    assert starter.stdout.readline() == f"export SLURM_CONF={folder}/slurm.conf\n"
    first = starter.stdout.readline()
    assert first == f'export PATH={folder}/bin:"$PATH"\n'
    starter.kill()
    starter.wait()
    starter.stdout.close()
    assert any("slurmctld" in line for line in processes.mentioning(folder))
    subprocess.run([*script, "--stop", folder], check=True)
    assert processes.mentioning(folder) == []


def test_a_folder_in_use_is_refused(cluster_without_sacct, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="is not empty"):
        Cluster(tmp_path).start()
    with pytest.raises(ValueError, match="characters"):
        Cluster(tmp_path / ("x" * 60))
    assert os.listdir(tmp_path) == ["thesis.tex"]
