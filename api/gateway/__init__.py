"""A meter's side of the service: reads a real meter at home, signs, keeps, and sends over HTTP."""
