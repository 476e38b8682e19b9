"""How texts say a time, for preprocess and for the graph of an exported model: both read texts alike."""

NUMBER = r"(?:[0-9]{1,18}|[1-8][0-9]{18})(?:\.[0-9]*)?"
"""A number of 0 or more, whose whole part 64 bits hold."""

CLOCK_TIME = (
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
"""An ISO 8601 date, with a time of the day and a zone or without: year, month, day, hour, minute, second, zone."""

FIRST_WHOLE_DAY, LAST_WHOLE_DAY = 1900_01_01, 2999_12_31
"""Numbers between them are whole days by their digits: 20240131."""

PER_SECOND = (1, 10**3, 10**6, 10**9)
BELOW = (10**11, 10**14, 10**17, 9 * 10**18)
"""Other numbers below 10^11 are seconds since 1970, below 10^14 milliseconds, and so on as ``PER_SECOND`` says.

10^11 seconds are the year 5138, and 10^11 milliseconds are March 1973.
"""

DAY_S = 86_400
