"""`/grid`: what a grid operator sees, exceptions first."""
