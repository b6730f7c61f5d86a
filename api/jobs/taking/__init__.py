"""Taking in what meters send over HTTP: read, checked, judged, kept for good, answered."""
