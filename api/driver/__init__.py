"""A driver's side of a charge: what somebody with a wallet does with a service, over HTTP alone."""
