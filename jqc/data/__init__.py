"""Where data live: folders of records, and jobs of many tasks that fill them."""

from jqc.data.progress import with_progress
from jqc.data.record import Record
from jqc.data.store import Store, open_store
from jqc.data.tasks import Outcome, run_tasks

__all__ = ["Outcome", "Record", "Store", "open_store", "run_tasks", "with_progress"]
