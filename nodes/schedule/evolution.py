"""Evolutionary search for a list of timesteps, as AutoDiffusion has it (https://arxiv.org/abs/2309.10438).

Each epoch's population is made of the best lists so far: some by mutation (each timestep is replaced with a certain
chance by one not in the list), some by crossover (each place is taken from either parent), the rest at random. Lists
are sorted, without doubles, and none is tried twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

Candidate = tuple[int, ...]
"""Timesteps, falling."""

_TRIES = 100
"""How often a new list is sought before fewer make do: of few timesteps there are few lists."""


@dataclass(frozen=True)
class Search:
    """Sizes of the search; `lowest` and `highest` are the timesteps there are."""

    lowest: int
    highest: int
    epochs: int = 10
    population: int = 50
    mutations: int = 25
    crossovers: int = 15
    best: int = 10
    chance: float = 0.25
    seed: int = 0

    def run(
        self,
        first: Sequence[Candidate],
        fitness: Callable[[Candidate], float],
        tell: Callable[[Evolution], None] = lambda found: None,
    ) -> Evolution:
        """What was found from the lists `first` on, the more `fitness` the better; `tell` hears of each list tried.

        The same lists are tried in the same order whenever seed and fitnesses are the same.
        """
        found, random = Evolution(), Random(self.seed)
        for epoch in range(self.epochs):
            parents = found.top(self.best)
            members = self._population(first, parents, set(found.tried), random)
            for member in members:
                found.tried[member] = fitness(member)
                tell(found)
            if not members and epoch:
                break  # there is no other list
            found.progress.append(found.top(1)[0])
        return found

    def _population(
        self, first: Sequence[Candidate], parents: list[Candidate], tried: set[Candidate], random: Random
    ) -> list[Candidate]:
        steps, members = len(first[0]), [] if parents else list(first[: self.population])
        seen = tried | set(members)

        def fill(size: int, make: Callable[[], Candidate]) -> None:
            for _ in range(_TRIES * size):
                if len(members) >= min(size, self.population):
                    return
                made = make()
                if len(made) == steps and made not in seen:
                    seen.add(made)
                    members.append(made)

        if parents:
            fill(self.mutations, lambda: self.mutated(random.choice(parents), random))
            pair = partial(random.choices, parents, k=2)
            fill(len(members) + self.crossovers, lambda: crossed(pair(), random))
        fill(self.population, lambda: ordered(random.sample(range(self.lowest, self.highest + 1), steps)))
        return members

    def mutated(self, parent: Candidate, random: Random) -> Candidate:
        """`parent` with each timestep replaced, with the chance of mutation, by one that is not in it."""
        made = list(parent)
        for place in range(len(made)):
            if random.random() < self.chance and len(made) <= self.highest - self.lowest:
                while (new := random.randint(self.lowest, self.highest)) in made:
                    pass
                made[place] = new
        return ordered(made)


@dataclass
class Evolution:
    """The fitness of every list tried, in order, and the best one after each epoch."""

    tried: dict[Candidate, float] = field(default_factory=dict)
    progress: list[Candidate] = field(default_factory=list)

    def top(self, count: int) -> list[Candidate]:
        """The best so far, best first; of equally good ones the one tried first."""
        return sorted(self.tried, key=lambda each: -self.tried[each])[:count]


def crossed(parents: Sequence[Candidate], random: Random) -> Candidate:
    """Each place taken from one of two parents; shorter where both gave the same timestep."""
    return ordered(random.choice(both) for both in zip(*parents, strict=True))


def ordered(timesteps: Iterable[int]) -> Candidate:
    """Falling, each once."""
    return tuple(sorted(set(timesteps), reverse=True))
