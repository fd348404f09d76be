"""What a config asks for: sources of images, training sets, the grid, experiments. No torch."""
