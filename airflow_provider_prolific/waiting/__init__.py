"""What all waits share: their conditions, their rules, and the poll that they ask together."""
