"""The demo world: a seeded AML simulation, written in the sources' own wire formats."""
