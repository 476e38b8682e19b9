"""Quantities mean what they mean to Kubernetes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esmm_dist.errors import ConfigError
from launcher.cluster.quantities import bytes_of, check_quantity, cores_of

DECIMAL = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2", 2.0), (2, 2.0), ("500m", 0.5), ("0.1", 0.1), (".5", 0.5), ("250000u", 0.25), ("1e3", 1000.0), ("5E-1", 0.5)],
)
def test_cores_are_counted_in_thousandths_too(value, expected):
    check_quantity("cpu", value)
    assert cores_of(value) == expected


@given(st.integers(1, 10**6), st.sampled_from(sorted(DECIMAL)))
def test_decimal_units_are_powers_of_a_thousand(number, unit):
    check_quantity("memory", f"{number}{unit}")
    assert bytes_of(f"{number}{unit}") == number * 10 ** DECIMAL[unit]


@given(st.integers(1, 10**6), st.sampled_from(sorted(BINARY)))
def test_binary_units_are_powers_of_two(number, unit):
    check_quantity("memory", f"{number}{unit}")
    assert bytes_of(f"{number}{unit}") == number * 2 ** BINARY[unit]


def test_a_capital_e_is_a_unit_alone_and_an_exponent_before_digits():
    assert bytes_of("1E") == 10**18
    assert bytes_of("1E3") == 1000
    assert bytes_of("1Ei") == 2**60


@given(st.decimals("0.001", 1000, places=3))
def test_fractions_lose_nothing(number):
    assert bytes_of(f"{number}k") == int(number * 1000)
    assert Decimal(str(cores_of(str(number)))) == number


@pytest.mark.parametrize("setting", ["cpu", "memory"])
@pytest.mark.parametrize("value", ["", "x", "1 Gi", "1gi", "-1", "1e", "1e333", "0x10", "1.", "\u0661", True, None])
def test_what_is_no_quantity_is_refused_with_an_example(setting, value):
    example = "2 or 500m" if setting == "cpu" else "4Gi or 500Mi"
    with pytest.raises(ConfigError, match=f"which is no quantity. Write a number and a unit, such as {example}"):
        check_quantity(setting, value)


@pytest.mark.parametrize("value", ["0", "0Gi", "0e3", 0, "0.0"])
def test_nothing_is_too_little(value):
    with pytest.raises(ConfigError, match=r"Set more than 0, such as 4Gi"):
        check_quantity("storage", value)


@pytest.mark.parametrize("unit", ["n", "u", "m"])
def test_a_fraction_of_a_byte_is_refused_and_one_of_a_core_is_not(unit):
    check_quantity("cpu", f"5{unit}")
    with pytest.raises(ConfigError, match="a fraction of a byte"):
        check_quantity("memory", f"5{unit}")
