"""Every channel of a network as a browsable site."""
