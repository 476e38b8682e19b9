"""Settings of a pipeline for tests."""

from datetime import date
from pathlib import Path
from typing import Any

from launcher.pipeline.config import PipelineConfig

DAY_1, DAY_2, DAY_3, DAY_4 = (date(2022, 4, day) for day in (25, 26, 27, 28))


def pipeline(folder: Path = Path("place"), **settings: Any) -> PipelineConfig:
    """Return settings with all places below a folder."""
    values = {
        "raw": f"{folder}/raw/{{day}}",
        "work": f"{folder}/work",
        "publish": f"{folder}/models",
        "first_day": DAY_1,
        "preprocess": {"schema": "aliccp", "validation_share": 0.1},
    }
    return PipelineConfig(**{**values, **settings})
