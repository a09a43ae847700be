"""The real servers that tests, screenshots and the bench run on."""
