"""Runs one function for many subjects in several processes, shows progress, and leaves nothing behind at its end."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

import cv2
from tqdm import tqdm


def map_subjects(function: Callable, tasks: Sequence, workers: int, verb: str) -> list:
    """[function(task) for task in tasks], in their order, by so many processes (1: in this one).

    Raises:
        ValueError: what the function raised, first come; or a process was killed, as for lack of memory.
    """
    if workers <= 1:
        return [function(task) for task in _progress(tasks, len(tasks), verb)]
    # spawned: a fork would inherit the threads' locks of whoever calls this from a notebook
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, max(1, len(tasks))), context, initializer=_start_worker)
    try:
        futures = [pool.submit(function, task) for task in tasks]
        for future in _progress(as_completed(futures), len(futures), verb):
            future.result()
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise ValueError(
            f"{verb}: found a worker process killed, probably for lack of memory. "
            "Finished subjects are kept: run it again with fewer --workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes are the parallelism

    def leave_with_parent() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()  # a killed parent takes its workers along


def _progress(items, total: int, verb: str):
    """A bar on a terminal, at most ten plain lines in a log file."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=verb, unit="subject")
        return
    for done, item in enumerate(items, start=1):
        yield item
        if total and done * 10 // total != (done - 1) * 10 // total:
            print(f"{verb}: {done} of {total} subjects", flush=True)
