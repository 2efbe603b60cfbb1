"""The tools of the example agent."""

from unified_agents import tool

_POPULATION = {"tokyo": 14_000_000, "oslo": 717_000, "lagos": 15_900_000}


@tool
def population(city: str) -> int:
    """How many people live in a city.

    Args:
        city: The city's name in English.
    """
    if city.lower() not in _POPULATION:
        raise LookupError(f"no figure for {city}; known: {', '.join(_POPULATION)}")
    return _POPULATION[city.lower()]


@tool
async def percentage(part: float, of: float) -> float:
    """A percentage of a number.

    Args:
        part: The percentage, such as 15 for 15 %.
        of: The number.
    """
    return part / 100 * of
