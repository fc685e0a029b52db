"""Deployments: installing released modules on gateways, and tracking what runs where."""
