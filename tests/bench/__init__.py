"""The benchmarks: ratios of gitcoord to what it is measured against, each with its limit."""
