"""A map of the latent space as one HTML page: which codes it shows, what colours them, and the page."""
