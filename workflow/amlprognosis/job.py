"""What every script of the workflow does first and last: read the study, log, end in one clear message."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amlprognosis.errors import InputError
from amlprognosis.study import Study, load_study


@contextmanager
def job(snakemake: Any) -> Iterator[Study]:
    """Run the body of a script with its log file.

    Parameters
    ----------
    snakemake : snakemake.script.Snakemake
        The object that Snakemake puts into a script.

    Yields
    ------
    Study
        The validated study of the run.

    Notes
    -----
    An :class:`~amlprognosis.errors.InputError` ends the script with its message alone and status 1; any other
    error leaves its traceback in the log.
    """
    logging.basicConfig(
        filename=snakemake.log[0], filemode="w", level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.captureWarnings(True)
    logging.getLogger("anndata").setLevel(logging.WARNING)  # it tells the terminal how it stores each text
    try:
        yield load_study(snakemake.config)
    except InputError as error:
        logging.error("%s", error)
        sys.exit(f"\namlprognosis: {error}\n")
    except BaseException:
        logging.exception("The job failed")
        raise
