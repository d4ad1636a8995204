"""What is told about requests to machines that watch: counts, histograms and traces; never any content."""
