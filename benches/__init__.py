"""What it costs, as ratios against named peers and floors of the same run: `python -m benches` (`make bench`)."""
