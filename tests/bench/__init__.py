"""Measurements, as ratios within one run where a ratio says it; counts of requests are exact."""
