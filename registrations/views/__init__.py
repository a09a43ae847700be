"""The pages for people who take part."""
