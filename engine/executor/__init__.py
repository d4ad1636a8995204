"""Plans carried out: the only part that talks to providers."""
