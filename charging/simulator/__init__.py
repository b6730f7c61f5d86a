"""A charge point to play with: an OCPP client, scripted or driving itself, sound or at fault."""
