"""Small networks the fields are made of; each knows nothing of the others."""
