"""Deployments: getting released modules onto gateways, and knowing what runs where."""
