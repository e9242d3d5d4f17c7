"""What all waits share: what is waited for, the rules of a wait, and the one poll for all of them."""
