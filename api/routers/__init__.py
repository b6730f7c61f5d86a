"""Routes: each parses, makes one call and renders; who may call is said by `api.deps`."""
