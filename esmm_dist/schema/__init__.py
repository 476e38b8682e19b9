"""What the data looks like: fields, the layout of a record, the manifest of a data set.

Here belongs what raw logs, records, training and checkpoints must agree on, down to the checksum of a
file. Nothing here reads logs or records (``preprocess``, ``esmm_dist.input``), and nothing imports TensorFlow.
"""

from esmm_dist.schema.event_source import EventsSource
from esmm_dist.schema.fields import Field, Schema
from esmm_dist.schema.files import load_schema
from esmm_dist.schema.presets_folder import available_presets
from esmm_dist.schema.sources import AliCcpSource, FlatSource

__all__ = ["AliCcpSource", "EventsSource", "Field", "FlatSource", "Schema", "available_presets", "load_schema"]
