"""The tools of the suite `faults`. Annotations are evaluated at once: see the quickstart's tools."""

from unified_agents.tools.decorator import tool

PRICES = {"desk lamp": 42, "kettle": 31}


@tool
async def price(product: str, quantity: int) -> int:
    """What a number of a product costs, in EUR.

    Args:
        product: The product's name.
        quantity: How many.
    """
    return PRICES[product] * quantity


@tool
async def add(first: int, second: int) -> int:
    """Add two prices.

    Args:
        first: A price.
        second: Another price.
    """
    return first + second
