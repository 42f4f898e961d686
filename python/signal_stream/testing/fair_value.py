"""The latent side of the simulated market: what moves the price, and what nobody can observe."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Literal

from signal_stream.testing.draws import Draws, line_quantiles

Regime = Literal["calm", "volatile"]

STEP_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """The latent state for 50 ms.

    `jumps_bp` are the moves of fair value that happen now, basis points. `pressure` in [-1, 1] is the
    market's leaning: it tilts arriving orders at once and the sign of later jumps, and so is what a model
    can learn.
    """

    regime: Regime
    pressure: float
    jumps_bp: tuple[float, ...]


QUIET = Step("calm", 0.0, ())


@dataclass(frozen=True, kw_only=True)
class FairValue:
    """A jump process whose direction leans with a slow hidden pressure, in calm and volatile regimes.

    News comes as jumps that excite further jumps (a Hawkes process in its cluster form: Hawkes and Oakes,
    1974). The pressure is a mean-reverting walk; a jump goes up with probability (1 + sway * pressure) / 2.
    """

    jump_hz: tuple[float, float] = (0.13, 0.7)
    """First jumps a second: calm, volatile."""
    children: float = 0.35
    """Probability that a jump sets off another."""
    children_s: float = 0.6
    """Mean delay of such a jump."""
    regime_s: tuple[float, float] = (45.0, 15.0)
    """Mean stay: calm, volatile."""
    pressure_s: float = 10.0
    """Time in which a pressure decays to 1/e."""
    sway: float = 0.95
    """How far the pressure decides the direction of a jump, 0 to 1."""

    def __post_init__(self) -> None:
        if not (0.0 <= self.children < 1.0 and 0.0 <= self.sway <= 1.0):
            raise ValueError("children is at least 0 and below 1, sway from 0 to 1")

    def steps(self, draws: Draws) -> Iterator[Step]:
        """The latent state, endless, 50 ms a step."""
        dt = STEP_NS / 1e9
        kick = sqrt(2.0 * dt / self.pressure_s)
        sizes = _jump_sizes()
        u = draws.uniform
        volatile, walk = False, 0.0
        unborn: list[tuple[int, bool]] = []
        now_ns = 0
        while True:
            now_ns += STEP_NS
            if u() < dt / self.regime_s[volatile]:
                volatile = not volatile
            walk += kick * draws.normal() - walk * (dt / self.pressure_s)
            pressure = max(-1.0, min(1.0, 0.85 * walk))
            up_share = 0.5 * (1.0 + self.sway * pressure)
            born = [up for due_ns, up in unborn if due_ns < now_ns]
            unborn = [(due_ns, up) for due_ns, up in unborn if due_ns >= now_ns]
            if u() < dt * self.jump_hz[volatile]:
                born.append(u() < up_share)
            jumps = []
            for up in born:
                size = draws.of(sizes) / 1000.0
                jumps.append(size if up else -size)
                if u() < self.children:
                    due_ns = now_ns + draws.wait(self.children_s * 1e9)
                    unborn.append((due_ns, u() < 0.25 + 0.5 * up_share))
            yield Step("volatile" if volatile else "calm", pressure, tuple(jumps))


@lru_cache(maxsize=1)
def _jump_sizes() -> tuple[int, ...]:
    """Thousandths of a basis point: most news is small, some is not."""
    return line_quantiles((0.0, 40), (0.3, 300), (0.6, 900), (0.8, 1_800), (0.93, 3_400), (0.985, 7_000), (1.0, 14_000))
