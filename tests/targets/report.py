"""A target, what was measured, and how it is printed."""

from typing import NamedTuple


class Measure(NamedTuple):
    """`found` names what is wrong, one line each."""

    name: str
    value: float
    limit: float
    unit: str = ""
    found: tuple[str, ...] = ()

    @property
    def is_met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "ok" if self.is_met else "NOT MET"
        value, limit = (f"{number:,.4g}{self.unit}" for number in (self.value, self.limit))
        line = f"{self.name:<58}{value:>12}   at most {limit:<10}{verdict}"
        return "\n".join([line, *(f"    {each}" for each in self.found)])
