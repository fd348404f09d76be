"""A real SLURM cluster on this one machine, to be thrown away: several nodes that can die, GPUs in name, accounting.

In tests:

    with Cluster(folder) as cluster:
        job = cluster.submit("--gpus=a100:1", "--wrap=nvidia-smi")
        cluster.wait(lambda: cluster.state(job) == "COMPLETED", 30, "the job")

For a person: `python tests/slurm/cluster.py FOLDER` starts one, says what to export, and stops it at Ctrl-C.
`python tests/slurm/cluster.py --stop FOLDER` ends what is left of one whose starter was killed.

It needs root and the packages that packages.sh names. Everything is in the folder: configuration, keys, sockets, logs
(`log/`), database. Partitions: cpu (default), gpu, low (requeued when high needs its place), high; account: lab.
"""

import argparse
import contextlib
import getpass
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import slurm_machine as machine
import slurm_processes as processes
import slurm_settings as settings

LONGEST_FOLDER = 70  # the path of a Unix socket has at most 107 characters
# sacct's columns; a comment may hold anything, so it comes last
ACCOUNTING = ["JobID", "JobName", "State", "ExitCode", "NodeList", "Partition", "Account", "ReqTRES", "AllocTRES"]
ACCOUNTING += ["Submit", "Start", "End", "Comment"]
QUEUE = {  # our name: squeue's
    "JobID": "jobid",
    "JobName": "name",
    "State": "state",
    "Partition": "partition",
    "NodeList": "nodelist",
    "Reason": "reason",
    "Restarts": "restartcnt",
    "Comment": "comment",
}
Result = TypeVar("Result")


class Cluster:
    def __init__(
        self,
        folder: Path | str,
        nodes: int = 4,
        cpus: int = 8,  # per node; may be more than this machine has, as may memory
        memory_mb: int = 130_000,
        gpus: int = 2,
        gpu_model: str = "a100",
        accounting: bool = True,  # False: a cluster whose sacct fails, for want of a database
        cgroups: bool | None = None,  # memory limits by the kernel; None: where this machine allows it
    ):
        folder = Path(folder).resolve()
        if len(str(folder)) > LONGEST_FOLDER:
            raise ValueError(
                f"{folder}: has {len(str(folder))} characters, sockets allow {LONGEST_FOLDER}: choose another"
            )
        self.plan = settings.Plan(
            folder=folder,
            host=socket.gethostname().split(".")[0],
            first_port=machine.free_ports(3 + nodes),
            nodes=nodes,
            cpus=cpus,
            memory_mb=memory_mb,
            gpus=gpus,
            gpu_model=gpu_model,
            accounting=accounting,
            cgroups=machine.cgroups_work() if cgroups is None else cgroups,
            user=getpass.getuser(),
            password=secrets.token_hex(16),
        )
        self.folder = folder
        self.nodes = self.plan.node_names
        self._commands = settings.commands(self.plan)
        self._children: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    # Start and stop

    def start(self) -> None:
        """Returns when every node is idle. A folder is used once: it must be new or empty."""
        if reason := machine.missing(self.plan.accounting):
            raise RuntimeError(reason)
        if self.folder.exists() and any(self.folder.iterdir()):
            raise ValueError(f"{self.folder}: is not empty; a cluster needs a folder of its own, new or empty")
        try:
            self._write_files()
            self._start_munge()
            if self.plan.accounting:
                self._start_accounting()
            self.start_controller()
            for name in self.nodes:
                self._launch(name)
            self.wait(lambda: self._all_nodes_are("idle"), 60, "every node to be idle")
        except BaseException:  # Ctrl-C too
            self.stop()
            raise

    def stop(self) -> None:
        """Ends jobs, nodes and daemons at once, as nothing is kept. The folder stays, for whoever reads its logs."""
        with contextlib.ExitStack() as all_of_them:  # the last first, and none left out if one makes trouble
            for name in self._commands:
                all_of_them.callback(self._kill, name)

    def leftovers(self) -> list[str]:
        """After stop: processes that have to do with the folder, and control groups. Clients get 5 s to notice."""
        end = time.monotonic() + 5
        while (found := processes.mentioning(self.folder)) and time.monotonic() < end:
            time.sleep(0.2)
        return found + [str(path) for name in self.nodes for path in processes.cgroups(name)]

    def _write_files(self) -> None:
        plan = self.plan
        for name in ("bin", "dev", "log", "run", "spool", "state"):
            (self.folder / name).mkdir(parents=True)
        texts = {
            "slurm.conf": settings.slurm_conf(plan),
            "gres.conf": settings.gres_conf(plan),
            "cgroup.conf": settings.cgroup_conf(plan),
        }
        if plan.accounting:
            texts |= {"slurmdbd.conf": settings.slurmdbd_conf(plan), "database.sql": settings.database_sql(plan)}
        for name, text in texts.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600 if "dbd" in name or "sql" in name else 0o644)
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (self.folder / "munge.key").chmod(0o400)
        for device in plan.gpu_devices:
            machine.make_device(device)
        # the plugin for Snakemake takes SLURM_CONF away before it calls srun
        real = shutil.which("srun", path=machine.search_path(os.environ))
        shim = self.folder / "bin/srun"
        shim.write_text(f'#!/bin/sh\nSLURM_CONF={shlex.quote(str(self.folder / "slurm.conf"))} exec {real} "$@"\n')
        shim.chmod(0o755)

    def _start_munge(self) -> None:
        self._launch("munged")
        by_socket = shlex.join(["--socket", str(self.plan.munge_socket)])
        test = f"munge --no-input {by_socket} | unmunge {by_socket}"
        self._wait_for_success(["sh", "-c", test], 20)

    def _start_accounting(self) -> None:
        """The database, slurmdbd, the account: before the controller, so that job 1 is on record."""
        data = f"--datadir={self.folder}/database"
        self.run("mariadb-install-db", "--no-defaults", data, f"--user={self.plan.user}", "--skip-test-db")
        self._launch("mariadbd")
        self._wait_for_success(["mariadb-admin", f"--socket={self.folder}/run/database.socket", "ping"], 60)
        self.start_database()
        for what in (f"cluster {settings.NAME}", f"account {settings.ACCOUNT}"):
            self.run("sacctmgr", "-iQ", "add", *what.split())
        self.run("sacctmgr", "-iQ", "add", "user", self.plan.user, f"account={settings.ACCOUNT}")

    def _launch(self, name: str) -> None:
        with open(self.folder / f"log/{name}.out", "a") as out:
            self._children[name] = subprocess.Popen(
                self._commands[name],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the one who started the cluster
            )

    def _kill(self, name: str) -> None:
        """SIGKILL for a daemon, for its children, and for all jobs if it is a node."""
        child = self._children.pop(name, None)  # first: who waits in another thread takes no notice of this death
        stop_daemon(self.folder, name)
        if child:
            child.kill()  # one that had not written its pid file yet
            child.wait()

    # What can go wrong on a cluster

    def kill_node(self, name: str, reported: bool = False) -> None:
        """As if its power were cut: slurmd, slurmstepd and all job processes die at one instant and report nothing.

        The controller finds out by itself after about 30 s: the node is down, its jobs NODE_FAIL, and those that may be
        requeued start again 10 s later. `reported`: an administrator tells it at once.
        """
        self._kill(name)
        if reported:
            self.run("scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=killed")

    def start_node(self, name: str) -> None:
        self._launch(name)
        self.wait(lambda: self._node_state(name) in ("idle", "mixed", "allocated"), 60, f"{name} to come back")

    def kill_controller(self) -> None:
        """SIGKILL for slurmctld; jobs go on. It saves its state every 5 s: a job that began since then is lost."""
        self._kill("slurmctld")

    def start_controller(self) -> None:
        self._launch("slurmctld")
        self._wait_for_success(["scontrol", "ping"], 30)

    def heal(self) -> None:
        """Back to a whole and empty cluster: no jobs, every daemon running, every node idle."""
        for name in self._commands:
            if name not in self._children:
                self._launch(name)
        self._wait_for_success(["scontrol", "ping"], 30)
        self.run("scancel", f"--user={self.plan.user}")
        self.run("scancel", f"--user={self.plan.user}", "--state=PENDING")  # those that are requeued just now
        self.wait(lambda: self._all_nodes_are("idle"), 60, "every node to be idle")

    def kill_database(self) -> None:
        """SIGKILL for slurmdbd: sacct fails. The controller keeps its records for later."""
        self._kill("slurmdbd")

    def start_database(self) -> None:
        self._launch("slurmdbd")
        self._wait_for_success(["sacctmgr", "-n", "show", "cluster"], 60)

    # What the cluster says

    @property
    def environment(self) -> dict[str, str]:
        """For every program that talks to the cluster: the caller's, without what another cluster left in it."""
        foreign = ("SLURM_", "SBATCH_", "SRUN_", "SACCT_", "SQUEUE_", "SINFO_")
        own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        own["PATH"] = f"{self.folder}/bin:{machine.search_path(own)}"
        own["SLURM_CONF"] = str(self.folder / "slurm.conf")
        return own

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """The output of a command, which must succeed."""
        done = self._try(command, cwd)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _try(self, command, cwd: Path | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=cwd or self.folder, env=self.environment, capture_output=True, text=True)

    def submit(self, *arguments: str) -> int:
        """sbatch with these arguments; the job's id. Its output goes to the folder `jobs`, JOB.log."""
        (self.folder / "jobs").mkdir(exist_ok=True)
        account = [f"--account={settings.ACCOUNT}"] if self.plan.accounting else []
        output = ["--output=%j.log", "--open-mode=append", f"--chdir={self.folder}/jobs"]
        return int(self.run("sbatch", "--parsable", *account, *output, *arguments).split(";")[0])

    def output(self, job: int) -> str:
        path = self.folder / f"jobs/{job}.log"
        return path.read_text() if path.exists() else ""

    def accounting(self, job: int | None = None, steps: bool = False) -> list[dict[str, str]]:
        """What sacct has on record, of one job or of all: every time that a requeued job ran is a record of its own.

        Records come some seconds late, and a start may arrive after its end: wait for what you need. The keys are in
        ACCOUNTING. With steps, also those: JobID is then 7.batch, 7.0, ...
        """
        which = [f"--jobs={job}"] if job else []
        only = [] if steps else ["--allocations"]
        start = ["--starttime=now-2days", "--duplicates", "--parsable2", "--noheader"]
        text = self.run("sacct", *which, *only, *start, f"--format={','.join(ACCOUNTING)}")
        rows = [line.split("|", len(ACCOUNTING) - 1) for line in text.splitlines()]
        return [dict(zip(ACCOUNTING, row, strict=True)) for row in rows]

    def queue(self) -> list[dict[str, str]]:
        """What squeue says, of jobs in all states: finished ones for MinJobAge, 300 s. The keys are in QUEUE."""
        columns = ",".join(f"{name}:|" for name in QUEUE.values())
        text = self.run("squeue", "--states=all", "--noheader", f"--Format={columns}")
        rows = [line.removesuffix("|").split("|", len(QUEUE) - 1) for line in text.splitlines()]
        return [dict(zip(QUEUE, row, strict=True)) for row in rows]

    def state(self, job: int) -> str:
        """The job's state now, as squeue says it; empty if there is none."""
        return next((row["State"] for row in self.queue() if row["JobID"] == str(job)), "")

    def _node_state(self, name: str) -> str:
        return self._try(["sinfo", "--noheader", f"--nodes={name}", "--partition=cpu", "--format=%T"]).stdout.strip()

    def _all_nodes_are(self, state: str) -> bool:
        lines = self._try(["sinfo", "--noheader", "--Node", "--partition=cpu", "--format=%T"]).stdout.split()
        return lines == [state] * len(self.nodes)

    # Waiting

    def wait(self, condition: Callable[[], Result], seconds: float, what: str) -> Result:
        """Asks until the answer is true, and returns it; tells what the cluster was doing if it never is."""
        end = time.monotonic() + seconds
        while not (answer := condition()):
            self._check_daemons()
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} s in vain for {what}\n{self.report()}")
            time.sleep(0.2)
        return answer

    def _wait_for_success(self, command: list[str], seconds: float) -> None:
        self.wait(lambda: self._try(command).returncode == 0, seconds, shlex.join(command))

    def _check_daemons(self) -> None:
        for name, child in list(self._children.items()):
            if child.poll() is not None:
                raise RuntimeError(f"{name} ended with {child.returncode}\n{self._tail(name)}")

    def report(self) -> str:
        asked = [self._try([name, *arguments]) for name, *arguments in (["sinfo", "-Nl"], ["squeue", "--states=all"])]
        return "\n".join([done.stdout + done.stderr for done in asked] + [self._tail("slurmctld")])

    def _tail(self, name: str) -> str:
        paths = [path for path in (self.plan.log(name), self.folder / f"log/{name}.out") if path.exists()]
        return "\n".join(f"{path}:\n" + "\n".join(path.read_text().splitlines()[-30:]) for path in paths)


def stop_daemon(folder: Path, name: str) -> None:
    """Kills the daemon of a cluster's folder, by its pid file if the pid is still that daemon; a node with its jobs."""
    node = name not in ("munged", "mariadbd", "slurmdbd", "slurmctld")

    def find() -> set[int]:
        path = folder / f"run/{name}.pid"
        text = path.read_text().strip() if path.exists() else ""
        pid = int(text) if text.isdigit() else 0
        ours = f"{folder}/log/{name}.out" in processes.open_files(pid)  # where its output goes since its start
        found = {pid for pid in processes.with_descendants({pid}) if processes.runs(pid)} if ours else set()
        return found | (processes.of_node(name, folder / f"log/{name}.log") if node else set())

    processes.power_cut(find)
    if node:
        processes.remove_cgroups(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="new or empty")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--no-accounting", action="store_true", help="a cluster whose sacct does not work")
    parser.add_argument("--stop", action="store_true", help="end what is left of a cluster in this folder")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.stop:
        for path in (folder / "run").glob("*.pid"):
            stop_daemon(folder, path.stem)
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    with Cluster(folder, nodes=arguments.nodes, accounting=not arguments.no_accounting) as cluster:
        print(f"export SLURM_CONF={shlex.quote(cluster.environment['SLURM_CONF'])}")
        print(f'export PATH={shlex.quote(str(folder / "bin"))}:"$PATH"')
        print(
            f"# account: {settings.ACCOUNT}; partitions: {', '.join(settings.PARTITIONS)}; Ctrl-C stops the cluster",
            flush=True,
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
            print("stopping")


if __name__ == "__main__":
    main()
