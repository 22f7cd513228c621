"""The steps, oldest first: m0001, m0002 and so on."""
