"""Jobs: the only place that sees metering and ledger together."""
