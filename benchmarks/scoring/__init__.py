"""The scores of the benchmarks that have labels."""
