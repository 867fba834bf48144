"""For authors of plugins: begin one, have it looked at, run one of its calls."""
