"""What the headers of every answer with scores say: the version, and the ids that the model does not know."""

from esmm_dist.serving.scoring.batching import Scored


def scored_headers(scored: Scored) -> dict[str, str]:
    """Return ``X-Esmm-Version``, and ``X-Esmm-Unknown-Ids`` if there are any: ``item_id=2, tags=1``."""
    headers = {"X-Esmm-Version": str(scored.snapshot.number)}
    if scored.asked.unknown:
        told = ", ".join(f"{_plain(field)}={number}" for field, number in scored.asked.unknown.items())
        headers["X-Esmm-Unknown-Ids"] = told[:4096]
    return headers


def _plain(field: str) -> str:
    """Return a field's name without what no header can hold."""
    return "".join(c if c.isascii() and c.isprintable() and c not in ",=" else "_" for c in field)
