"""What may be asked for: typed blocks, free of torch, each key once. `study.complete` reads a config by them."""
