"""What a grid operator watches over: meters, chargers, settlements, and audits on demand."""
