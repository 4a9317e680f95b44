"""Where data live: folders of records, and jobs of many tasks that fill them."""

from jqc.data.cluster import run_on_cluster
from jqc.data.progress import with_progress
from jqc.data.record import Record
from jqc.data.scheduler import Cluster, connected
from jqc.data.store import Store, open_store
from jqc.data.tasks import Outcome, run_in_threads, run_tasks

__all__ = [
    "Cluster",
    "Outcome",
    "Record",
    "Store",
    "connected",
    "open_store",
    "run_in_threads",
    "run_on_cluster",
    "run_tasks",
    "with_progress",
]
