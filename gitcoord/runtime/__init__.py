"""What one clone keeps beside the log: locks of the operating system, clocks, proofs of life, the waiting line.

Everything here lives in the runtime directory under the common git directory, is private to its user, and can be
deleted without losing anything that was granted: the log alone says who holds what.
"""
