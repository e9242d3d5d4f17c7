"""What all waits share: the rules of a sensor and of a trigger, the arithmetic of targets, and the poll."""
