"""What the figures show of networks and images, gathered into small files."""
