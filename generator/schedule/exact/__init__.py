"""Optimal sequences of phases, from a table of candidate phases; nothing here knows hardware.

A phase runs a set of tasks. Which sets may be phases, and what each costs, is the caller's table of candidates. The
solvers choose candidates that partition the tasks, their order, and where each tensor between phases waits: on chip or
spilled to memory. Three of them, written apart, so that each proves the others: `dynamic_programme` (the one to use),
`cp_sat` (a second formulation, for an independent check) and `brute_force` (all solutions of small problems).
"""
