"""The configuration files of the throw-away cluster, as text: pure functions of a plan.

Times are as short as SLURM allows, so that what takes minutes on a real cluster takes seconds here.
"""

from dataclasses import dataclass
from pathlib import Path

NAME = "throwaway"
PARTITIONS = ("cpu", "gpu", "low", "high")
ACCOUNT = "lab"


@dataclass(frozen=True)
class Plan:
    folder: Path
    host: str
    first_port: int  # then: slurmdbd, database, one per node
    nodes: int
    cpus: int
    memory_mb: int
    gpus: int
    gpu_model: str
    accounting: bool
    cgroups: bool
    user: str
    password: str  # of the database, which listens on the loopback alone

    @property
    def dbd_port(self) -> int:
        return self.first_port + 1

    @property
    def database_port(self) -> int:
        return self.first_port + 2

    @property
    def node_ports(self) -> list[int]:
        return [self.first_port + 3 + index for index in range(self.nodes)]

    @property
    def node_names(self) -> list[str]:
        """Named after their ports: SLURM names cgroups after nodes, and these are the whole machine's."""
        return [f"n{port}" for port in self.node_ports]

    @property
    def default_memory_mb(self) -> int:
        return self.memory_mb // self.cpus

    @property
    def munge_socket(self) -> Path:
        return self.folder / "run/munge.socket"

    @property
    def gpu_devices(self) -> list[Path]:
        return [self.folder / f"dev/nvidia{index}" for index in range(self.gpus)]

    def log(self, daemon: str) -> Path:
        return self.folder / f"log/{daemon}.log"

    def pid_file(self, daemon: str) -> Path:
        return self.folder / f"run/{daemon}.pid"


def slurm_conf(plan: Plan) -> str:
    return "\n".join([_COMMON.format(plan=plan, name=NAME), *_memory(plan), *_accounting(plan), *_nodes(plan), ""])


_COMMON = """ClusterName={name}
SlurmctldHost={plan.host}(127.0.0.1)
SlurmctldPort={plan.first_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire: the delay before a requeued job may start again; 120 s by default
AuthInfo=socket={plan.munge_socket},cred_expire=10
StateSaveLocation={plan.folder}/state
SlurmdSpoolDir={plan.folder}/spool/%n
SlurmctldPidFile={plan.folder}/run/slurmctld.pid
SlurmdPidFile={plan.folder}/run/%n.pid
SlurmctldLogFile={plan.folder}/log/slurmctld.log
SlurmdLogFile={plan.folder}/log/%n.log
MailProg=/bin/true
MpiDefault=none
# a node may claim more CPUs and memory than this machine has
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
EnforcePartLimits=ALL
DefMemPerCPU={plan.default_memory_mb}
GresTypes=gpu
JobRequeue=1
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=15
KillWait=5
CompleteWait=0
MessageTimeout=10
# how long squeue remembers a finished job: the plugin for Snakemake needs it longer than its longest pause (180 s)
MinJobAge=300
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobAcctGatherType=jobacct_gather/linux"""


def _memory(plan: Plan) -> list[str]:
    if plan.cgroups:  # the kernel kills at the limit, as on a real cluster: OUT_OF_MEMORY
        return ["ProctrackType=proctrack/cgroup", "TaskPlugin=task/cgroup"]
    # SLURM looks every 2 s and cancels the step
    polled = ["JobAcctGatherParams=OverMemoryKill", "JobAcctGatherFrequency=task=2"]
    return ["ProctrackType=proctrack/pgid", "TaskPlugin=task/none", *polled]


def _accounting(plan: Plan) -> list[str]:
    if not plan.accounting:
        return ["AccountingStorageType=accounting_storage/none"]
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        "AccountingStorageHost=127.0.0.1",
        f"AccountingStoragePort={plan.dbd_port}",
        f"AccountingStoragePass={plan.munge_socket}",  # AuthInfo's socket is not used towards slurmdbd
        "AccountingStorageEnforce=associations",  # a wrong account is refused
        "AccountingStorageTRES=gres/gpu",
        "AccountingStoreFlags=job_comment",  # the plugin for Snakemake writes the rule's name there
    ]


def _nodes(plan: Plan) -> list[str]:
    gres = f"Gres=gpu:{plan.gpu_model}:{plan.gpus} " if plan.gpus else ""
    size = f"CPUs={plan.cpus} RealMemory={plan.memory_mb} {gres}State=UNKNOWN"
    where = f"NodeHostname={plan.host} NodeAddr=127.0.0.1"
    pairs = zip(plan.node_names, plan.node_ports, strict=True)
    lines = [f"NodeName={name} {where} Port={port} {size}" for name, port in pairs]
    common = "Nodes=ALL MaxTime=2-00:00:00 DefaultTime=10 State=UP"
    return [
        *lines,
        f"PartitionName=cpu  Default=YES PriorityTier=1 PreemptMode=OFF {common}",
        f"PartitionName=gpu  Default=NO PriorityTier=1 PreemptMode=OFF {common}",
        f"PartitionName=low  Default=NO PriorityTier=1 PreemptMode=REQUEUE {common}",
        f"PartitionName=high Default=NO PriorityTier=10 PreemptMode=OFF {common}",
    ]


def gres_conf(plan: Plan) -> str:
    # only character devices make SLURM set CUDA_VISIBLE_DEVICES; their trailing digits become the index
    lines = [f"Name=gpu Type={plan.gpu_model} File={device}" for device in plan.gpu_devices]
    return "\n".join(["AutoDetect=off", *lines, ""])


def cgroup_conf(plan: Plan) -> str:
    # slurmd loads a plugin in any case; that of version 1 asks for nothing until it is used
    return f"CgroupPlugin=cgroup/v1\nConstrainRAMSpace={'yes' if plan.cgroups else 'no'}\n"


def slurmdbd_conf(plan: Plan) -> str:
    return f"""DbdHost={plan.host}
DbdAddr=127.0.0.1
DbdPort={plan.dbd_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={plan.munge_socket}
PidFile={plan.pid_file("slurmdbd")}
LogFile={plan.log("slurmdbd")}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={plan.database_port}
StorageUser=slurm
StoragePass={plan.password}
StorageLoc=slurm_acct_db
"""


def database_sql(plan: Plan) -> str:
    """What the database runs at its start."""
    return (
        f"CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY '{plan.password}';\n"
        "GRANT ALL ON slurm_acct_db.* TO 'slurm'@'127.0.0.1';\n"
    )


def commands(plan: Plan) -> dict[str, list[str]]:
    """Every daemon in the foreground, in the order in which they start."""
    run = plan.folder / "run"
    munged = [
        "munged",
        "--foreground",
        "--force",
        f"--socket={plan.munge_socket}",
        f"--key-file={plan.folder}/munge.key",
    ]
    munged += [
        f"--pid-file={plan.pid_file('munged')}",
        f"--log-file={plan.log('munged')}",
        f"--seed-file={run}/munge.seed",
    ]
    munged += ["--origin=127.0.0.1"]  # else it looks this machine up by name
    database = ["mariadbd", "--no-defaults", f"--user={plan.user}", f"--datadir={plan.folder}/database"]
    database += [f"--socket={run}/database.socket", f"--pid-file={plan.pid_file('mariadbd')}"]
    database += ["--bind-address=127.0.0.1", f"--port={plan.database_port}", f"--init-file={plan.folder}/database.sql"]
    database += ["--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--innodb-lock-wait-timeout=900"]
    slurm = {name: ["slurmd", "-D", "-N", name] for name in plan.node_names}
    accounting = {"mariadbd": database, "slurmdbd": ["slurmdbd", "-D"]} if plan.accounting else {}
    return {"munged": munged, **accounting, "slurmctld": ["slurmctld", "-D"], **slurm}
