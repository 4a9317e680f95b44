"""Where data live: folders of records, and jobs of many tasks that fill them."""

from jqc.data.record import Record
from jqc.data.store import Store, open_store

__all__ = ["Record", "Store", "open_store"]
