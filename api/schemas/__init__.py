"""What goes over the wire, as models: strict, and nothing in them that is not named here."""
