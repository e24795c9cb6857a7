"""What runs at the depot: scene labels, fused timeline, events, verdicts and scores."""
