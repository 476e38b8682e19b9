"""Quantities as Kubernetes writes them: ``2``, ``500m``, ``4Gi``."""

import re
from decimal import Decimal

from esmm_dist.errors import ConfigError

_FORM = re.compile(r"(?P<number>\d+(\.\d+)?|\.\d+)(?P<unit>[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?", re.ASCII)
_UNITS = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)} | {
    unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", start=2)
}
_BINARY = {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)}


def check_quantity(setting: str, value: str | int | float) -> None:
    """Check a quantity.

    Raises:
        ConfigError: It is none, or not more than 0.
    """
    found = None if isinstance(value, bool) else _FORM.fullmatch(str(value))
    example = "2 or 500m" if setting == "cpu" else "4Gi or 500Mi"
    if found is None:
        raise ConfigError(
            f"{setting} is '{value}', which is no quantity. Write a number and a unit, such as {example}."
        )
    if setting != "cpu" and found["unit"] in ("n", "u", "m"):
        raise ConfigError(f"{setting} is '{value}', a fraction of a byte. Write it such as {example}.")
    if _amount(value) <= 0:
        raise ConfigError(f"{setting} is {value}. Set more than 0, such as {example}.")


def cores_of(value: str | int | float) -> float:
    """Return the cores of a checked quantity."""
    return float(_amount(value))


def bytes_of(value: str | int | float) -> int:
    """Return the bytes of a checked quantity."""
    return int(_amount(value))


def _amount(value: str | int | float) -> Decimal:
    found = _FORM.fullmatch(str(value))
    assert found is not None, f"{value} was not checked"
    unit = found["unit"] or ""
    if unit[:1] in ("e", "E") and len(unit) > 1 and unit != "Ei":
        return Decimal(f"{found['number']}{unit}")
    return Decimal(found["number"]) * (_UNITS | _BINARY).get(unit, Decimal(1))
