"""What comes from outside, what goes to disk, and text that others wrote."""
