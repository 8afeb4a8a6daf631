"""What a run costs: prices, bills, limits, sums."""
