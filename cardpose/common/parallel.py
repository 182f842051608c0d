"""The same work on many things, several of them at a time."""

import os

import joblib

from cardpose.common.errors import InputError


def map_parallel(work, things, jobs=-1):
    """Yield `work(thing)` of each of the things, in their order.

    After an error no more are begun, and it is raised once those at work have come to their end:
    joblib alone would kill them, and print a warning of what they leave behind.

    Args:
        work: a function of a module.
        jobs: things worked on at a time; -1 for one a core.

    Raises:
        InputError, OSError: the first that `work` raised.
    """
    failed, here = None, os.getcwd()

    def queue():
        for thing in things:
            if failed:
                return
            yield joblib.delayed(_caught)(work, thing, here)

    parallel = joblib.Parallel(jobs, return_as="generator", pre_dispatch="n_jobs")
    for result, error in parallel(queue()):
        failed = failed or error
        if not failed:
            yield result
    if failed:
        raise failed


def _caught(work, thing, folder):
    if os.getcwd() != folder:  # of a worker that is there from an earlier call
        os.chdir(folder)
    try:
        return work(thing), None
    except (InputError, OSError) as error:
        return None, error
