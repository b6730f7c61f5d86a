"""The OCPP central system: chargers that speak OCPP 1.6J or 2.0.1 over a socket.

`central_system.py` is the door; `v16_*.py` and `v201_*.py` are imported when a charger connects.
"""
